import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Slots } from './slots.ts';
import { claim } from './test-batch.ts';

const never = new AbortController().signal;

test('never more than its size at once, never anybody beside one who is alone, and everybody gets in', async () => {
  const job = fc.record({ alone: fc.boolean(), ticks: fc.nat(3), aborts: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(job, { maxLength: 25 }), async (size, jobs) => {
      const slots = new Slots(size);
      let busy = 0;
      let alone = 0;
      let ran = 0;
      const results = await Promise.allSettled(
        jobs.map(async (j) => {
          const controller = new AbortController();
          if (j.aborts) queueMicrotask(() => controller.abort(new Error('not wanted')));
          const work = async () => {
            busy++;
            if (j.alone) alone++;
            ran++;
            expect(busy).toBeLessThanOrEqual(size);
            if (alone > 0) expect(busy).toBe(1);
            for (let t = 0; t < j.ticks; t++) await Promise.resolve();
            busy--;
            if (j.alone) alone--;
          };
          await (j.alone ? slots.runAlone(work, controller.signal) : slots.run(claim('a'), work, controller.signal));
        }),
      );
      expect({ busy: slots.busy, waiting: slots.waiting }).toEqual({ busy: 0, waiting: 0 });
      const refused = results.filter((r) => r.status === 'rejected').length;
      expect(ran + refused).toBe(jobs.length);
      expect(refused).toBeLessThanOrEqual(jobs.filter((j) => j.aborts).length);
    }),
  );
});

test('one who waits to be alone goes before those who came later, and before those who wait', async () => {
  const slots = new Slots(2);
  const order: string[] = [];
  const hold = Promise.withResolvers<void>();
  const running = slots.run(claim('a'), () => hold.promise, never);
  const filler = slots.run(claim('a'), () => hold.promise, never);
  const shared = slots.run(claim('a'), async () => void order.push('shared'), never);
  const alone = slots.runAlone(async () => void order.push('alone'), never);
  await sleep(1);
  expect(order).toEqual([]);
  hold.resolve();
  await Promise.all([running, filler, shared, alone]);
  expect(order).toEqual(['alone', 'shared']);
});

test('a failure gives its place back', async () => {
  const slots = new Slots(1);
  await expect(slots.run(claim('a'), () => Promise.reject(new Error('no')), never)).rejects.toThrow('no');
  await expect(slots.run(claim('a'), async () => 'yes', never)).resolves.toBe('yes');
});

test('tenants have as many places as each other', async () => {
  const slots = new Slots(2);
  const order: string[] = [];
  const holds = ['a1', 'a2'].map(() => Promise.withResolvers<void>());
  const running = holds.map(({ promise }) => slots.run(claim('a'), () => promise, never));
  const waiting = ['a3', 'a4', 'b1', 'b2'].map((name) =>
    slots.run(claim(name[0] ?? ''), async () => void order.push(name), never),
  );
  for (const hold of holds) hold.resolve();
  await Promise.all([...running, ...waiting]);
  expect(order[0]).toBe('b1');
  expect(order.toSorted()).toEqual(['a3', 'a4', 'b1', 'b2']);
});
