import { LOWEST_PRIORITY } from '@batchmill/queue';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type OpenBatch, positionOf, priorityOf, urgentFrom } from './priority.ts';

const NOW = 1_800_000_000;
const first = { running: 0, urgent: false, position: 0, batches: 1, place: 0 };

test('the number counts the shards at work and those of the tenant that go before', () => {
  expect(priorityOf(first)).toBe(1);
  expect(priorityOf({ ...first, running: 5 })).toBe(6);
  expect(priorityOf({ ...first, running: 5, urgent: true })).toBe(3);
  expect(priorityOf({ running: 1, urgent: false, position: 2, batches: 10, place: 3 })).toBe(34);
  // Nothing is so far back that it falls out of the queue's range.
  expect(priorityOf({ ...first, batches: 1e6, place: 15 })).toBe(LOWEST_PRIORITY);
  expect(urgentFrom({ created_at: 1_000, expires_at: 5_000 })).toBe(4_000);
});

test('the shards of a tenant have numbers of their own, one of each batch in a round', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.nat(50), (batches, running) => {
      const numbers = Array.from({ length: batches * 16 }, (_, i) =>
        priorityOf({ ...first, running, batches, position: i % batches, place: Math.floor(i / batches) }),
      );
      expect(numbers).toEqual(numbers.map((_, i) => 1 + running + i));
    }),
  );
});

test('positions are an order: fewest running shards, then the earliest deadline', () => {
  const batch = fc.record({ running: fc.nat(3), expiresAt: fc.nat(5) });
  fc.assert(
    fc.property(fc.array(batch, { maxLength: 12 }), (list) => {
      const batches: OpenBatch[] = list.map((b, i) => ({ id: `b${i}`, ...b }));
      const sorted = batches.toSorted((a, b) => positionOf(a, batches) - positionOf(b, batches));
      expect(sorted.map((b) => positionOf(b, batches))).toEqual(batches.map((_, i) => i));
      for (const [i, b] of sorted.entries()) {
        const a = sorted[i - 1];
        if (a === undefined) continue;
        expect(a.running).toBeLessThanOrEqual(b.running);
        if (a.running === b.running) expect(a.expiresAt).toBeLessThanOrEqual(b.expiresAt);
      }
    }),
  );
});

interface Simulated extends OpenBatch {
  tenant: string;
  shards: number;
  begun: number;
}

/**
 * Workers that take what is first, and control workers that place the shards of a batch anew when one of them was taken or
 * is done, and of every batch once in `sweep` takes: so numbers are as old as they get in the product.
 */
function simulate(batches: Simulated[], workers: number, takes: number, sweep: number) {
  const queue = new Map<string, { batch: Simulated; shard: number; priority: number; seq: number }>();
  const taken: Simulated[] = [];
  const running: Simulated[] = [];
  let seq = 0;
  let random = 1;
  const place = (batch: Simulated) => {
    const mine = batches.filter((b) => b.tenant === batch.tenant && b.begun < b.shards);
    const rank = {
      running: running.filter((b) => b.tenant === batch.tenant).length,
      position: positionOf(batch, mine),
      batches: Math.max(1, mine.length),
      urgent: false,
    };
    for (let place = 0; place < 16 && batch.begun + place < batch.shards; place++) {
      const shard = batch.begun + place;
      const key = `${batch.id}.${shard}`;
      const priority = priorityOf({ ...rank, place });
      if (queue.get(key)?.priority !== priority) queue.set(key, { batch, shard, priority, seq: seq++ });
    }
  };
  for (const batch of batches) place(batch);
  while (taken.length < takes) {
    if (taken.length % sweep === 0) for (const batch of batches) place(batch);
    if (running.length === workers) {
      random = (random * 48_271) % 2_147_483_647;
      const [done] = running.splice(random % workers, 1);
      if (done === undefined) break;
      done.running--;
      place(done);
    }
    const [next] = [...queue.values()].sort((a, b) => a.priority - b.priority || a.seq - b.seq);
    if (next === undefined) break;
    const { batch } = next;
    queue.delete(`${batch.id}.${next.shard}`);
    batch.begun++;
    batch.running++;
    running.push(batch);
    taken.push(batch);
    place(batch);
  }
  return taken;
}

const batchOf = (tenant: string, i: number, shards: number, hours = 24): Simulated => ({
  id: `${tenant}${i}`,
  tenant,
  expiresAt: NOW + hours * 3_600 + i,
  running: 0,
  shards,
  begun: 0,
});

test('simulated: a tenant with two hundred batches gets no more shards than one with a single batch', () => {
  const many = Array.from({ length: 200 }, (_, i) => batchOf('many', i, 10));
  const taken = simulate([...many, batchOf('one', 0, 2_000)], 16, 400, 50);
  const one = taken.filter((b) => b.tenant === 'one').length;
  expect(one).toBeGreaterThanOrEqual(180);
  expect(one).toBeLessThanOrEqual(220);
});

test('simulated: one shard of a small tenant goes next beside a large one, whenever it comes', () => {
  const large = batchOf('large', 0, 2_000, 1);
  const small = batchOf('small', 0, 1, 168);
  const taken = simulate([large, small], 16, 100, 50);
  expect(taken.indexOf(small)).toBeLessThan(2);
});

test("simulated: of a tenant's batches those with the earliest deadlines run, and each tenant's own", () => {
  const batches = ['a', 'b'].flatMap((tenant) => Array.from({ length: 20 }, (_, i) => batchOf(tenant, i, 5)));
  const taken = simulate(batches, 4, 40, 10);
  for (const tenant of ['a', 'b']) {
    const mine = taken.filter((b) => b.tenant === tenant);
    expect(mine.length).toBeGreaterThanOrEqual(15);
    // Two at a time per tenant: with twenty shards taken, hardly more than the first five batches have begun.
    expect(Math.max(...mine.map((b) => Number(b.id.slice(1))))).toBeLessThan(8);
  }
});

test('simulated: every shard is taken, however many tenants there are', () => {
  const batches = Array.from({ length: 60 }, (_, i) => batchOf(`t${i % 20}-`, i, 1 + ((i * 7) % 5)));
  const total = batches.reduce((sum, b) => sum + b.shards, 0);
  expect(simulate(batches, 3, 10_000, 20)).toHaveLength(total);
});
