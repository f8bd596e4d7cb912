import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Claim, claimOf, FairOrder } from './fair-order.ts';
import { claim, openBatch } from './test-batch.ts';

/** Keeps `places` places taken by who is next, each given back after a round; says who had how many. */
function serve(order: FairOrder<Claim>, places: number, rounds: number): Record<string, number> {
  const given: Record<string, number> = {};
  const held: Claim[] = [];
  for (let i = 0; i < rounds; i++) {
    const back = held.length === places ? held.shift() : undefined;
    if (back !== undefined) order.release(back);
    const next = order.next();
    if (next === undefined) break;
    held.push(next);
    given[next.batch] = (given[next.batch] ?? 0) + 1;
  }
  return given;
}

const fill = (order: FairOrder<Claim>, claims: Claim[], items: number) => {
  for (const c of claims) for (let i = 0; i < items; i++) order.add(c, { ...c });
};

test('a tenant with a thousand batches has as many places as one with a single batch', () => {
  const order = new FairOrder<Claim>();
  fill(
    order,
    Array.from({ length: 1_000 }, (_, i) => claim('many', { batch: `m${i}` })),
    10,
  );
  fill(order, [claim('one', { batch: 'one' })], 10_000);
  expect(serve(order, 10, 4_000).one).toBe(2_000);
});

test("of a tenant's places three quarters go to the earliest deadline, the others take turns", () => {
  const order = new FairOrder<Claim>();
  const batches = [5, 3, 9].map((at) => claim('a', { batch: `at${at}`, expiresAt: at }));
  fill(order, batches, 1_000);
  expect(serve(order, 4, 800)).toEqual({ at3: 600, at5: 100, at9: 100 });
});

test('a tenant in the last quarter of a window has twice as many places', () => {
  const fact = openBatch('late', 'late', { created_at: 1_000, expires_at: 5_000 });
  for (const [now, late] of [
    [3_999, 300],
    [4_000, 400],
  ] as const) {
    const order = new FairOrder<Claim>(() => now);
    fill(order, [claimOf(fact), claim('b', { batch: 'b' })], 1_000);
    expect(serve(order, 12, 600).late).toBe(late);
  }
});

test('who is removed is not served, and who has gone is forgotten', () => {
  const order = new FairOrder<Claim>();
  const [a, b] = [claim('a'), claim('b')];
  order.add(a, a);
  order.add(b, b);
  order.remove(a, a);
  order.remove(a, a);
  expect(order.size).toBe(1);
  expect(order.next()).toBe(b);
  order.release(b);
  expect(order.next()).toBeUndefined();
});

test('nobody waits longer than promised, whatever the others send', () => {
  const TENANTS = 5;
  const BATCHES = 4;
  const waits = fc.record({ tenant: fc.nat(TENANTS - 1), batch: fc.nat(BATCHES - 1), urgent: fc.boolean() });
  const step = fc.oneof(
    waits.map((add) => ({ add })),
    fc.nat(7).map((back) => ({ back })),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { minLength: 50, maxLength: 400 }), (places, steps) => {
      const order = new FairOrder<Claim>(() => 100);
      const held: Claim[] = [];
      const waiting: Claim[] = [];
      // Places given to others: since a tenant waits and has none, and since a batch waits, to its tenant's others.
      const ofTenant = new Map<string, number>();
      const ofBatch = new Map<string, number>();
      const give = () => {
        const next = order.next();
        if (next === undefined) throw new Error('nobody is next, but somebody waits');
        waiting.splice(waiting.indexOf(next), 1);
        const without = waiting.filter((c) => c.tenant !== next.tenant && !held.some((h) => h.tenant === c.tenant));
        held.push(next);
        const empty = new Set(without.map((c) => c.tenant));
        for (const tenant of ofTenant.keys()) if (!empty.has(tenant)) ofTenant.delete(tenant);
        for (const tenant of empty) ofTenant.set(tenant, (ofTenant.get(tenant) ?? 0) + 1);
        expect(Math.max(0, ...ofTenant.values())).toBeLessThanOrEqual(TENANTS - 1);
        ofBatch.delete(next.batch);
        const passed = waiting.filter((c) => c.tenant === next.tenant && c.batch !== next.batch).map((c) => c.batch);
        for (const batch of new Set(passed)) ofBatch.set(batch, (ofBatch.get(batch) ?? 0) + 1);
        expect(Math.max(0, ...ofBatch.values())).toBeLessThanOrEqual(4 * BATCHES);
      };
      for (const s of steps) {
        if ('add' in s) {
          const { tenant, batch, urgent } = s.add;
          const entry = claim(`t${tenant}`, {
            batch: `t${tenant}-${batch}`,
            expiresAt: batch,
            urgentAt: urgent ? 0 : 200,
          });
          waiting.push(entry);
          order.add(entry, entry);
        } else if (held.length > 0) {
          const [back] = held.splice(s.back % held.length, 1);
          if (back !== undefined) order.release(back);
        }
        while (held.length < places && waiting.length > 0) give();
      }
      expect(order.size).toBe(waiting.length);
    }),
  );
});
