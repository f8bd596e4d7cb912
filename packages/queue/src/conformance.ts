import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PlacedShard, ShardJob } from './jobs.ts';
import type { Consumer, Queues, ShardTaker } from './port.ts';

/**
 * What the product relies on, the same on every backend of BullMQ.
 * @param destroy takes everything the queue has from outside, its tables too.
 */
export function queueConformance(name: string, open: () => Promise<Queues>, destroy: () => Promise<void>): void {
  describe(`queues on ${name}`, () => {
    let queues: Queues;
    let consumers: Consumer[];

    beforeEach(async () => {
      queues = await open();
      await queues.wipe();
      consumers = [];
    });
    afterEach(async () => {
      await Promise.all(consumers.map((c) => c.close()));
      await queues.close();
    });

    const shard = (n: number, lane: ShardJob['lane'] = 'text', priority = 1): PlacedShard => ({
      tenant: 'acme',
      batchId: 'batch_a',
      shard: n,
      lane,
      items: 1,
      priority,
    });
    const state = async () => {
      const { text, media } = await queues.waiting();
      return { waiting: text + media, running: (await queues.runningShards()).length };
    };
    /** Takes shards as they come, until the test ends. */
    const takeAll = (taker: ShardTaker) => {
      let open = true;
      const loop = async () => {
        while (open) await taker.takeNext();
      };
      void loop();
      consumers.push({
        close: () => {
          open = false;
          return taker.close();
        },
      });
    };

    test('check passes while the server is up', async () => {
      await expect(queues.check()).resolves.toBeUndefined();
    });

    test('a trigger while a batch is looked at makes it be looked at once more, and never twice at once', async () => {
      let running = 0;
      let most = 0;
      let looks = 0;
      const first = Promise.withResolvers<void>();
      const begun = Promise.withResolvers<void>();
      consumers.push(
        queues.consumeReconcile(
          async () => {
            running++;
            most = Math.max(most, running);
            looks++;
            begun.resolve();
            if (looks === 1) await first.promise;
            running--;
          },
          { concurrency: 4 },
        ),
      );
      const job = { tenant: 'acme', batchId: 'batch_a' };
      await queues.triggerReconcile(job);
      await begun.promise;
      for (let i = 0; i < 5; i++) await queues.triggerReconcile(job);
      first.resolve();
      await expect.poll(() => looks, { timeout: 10_000 }).toBe(2);
      await sleep(300);
      expect({ looks, most }).toEqual({ looks: 2, most: 1 });
    });

    test('a delayed trigger does not swallow one that is due now', async () => {
      const seen: number[] = [];
      const start = Date.now();
      const job = { tenant: 'acme', batchId: 'batch_a' };
      await queues.triggerReconcile(job, 2_000);
      await queues.triggerReconcile(job);
      consumers.push(
        queues.consumeReconcile(
          async () => {
            seen.push(Date.now() - start);
          },
          { concurrency: 1 },
        ),
      );
      await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(2);
      expect(seen[0]).toBeLessThan(2_000);
      expect(seen[1]).toBeGreaterThanOrEqual(1_950);
    });

    test('a shard is queued once however often it is added, and can be queued again when it is done', async () => {
      await queues.addShards([shard(0), shard(1), shard(2, 'media')]);
      await queues.addShards([shard(0), shard(1), shard(2, 'media')]);
      expect(await queues.waiting()).toEqual({ text: 2, media: 1 });
      const done: number[] = [];
      const settled: number[] = [];
      takeAll(
        queues.takeShards(
          'text',
          async (job) => {
            done.push(job.shard);
          },
          {
            onSettled: (job) => {
              settled.push(job.shard);
            },
          },
        ),
      );
      await expect.poll(() => settled.toSorted(), { timeout: 10_000 }).toEqual([0, 1]);
      await queues.addShards([shard(0)]);
      await expect.poll(() => done.toSorted(), { timeout: 10_000 }).toEqual([0, 0, 1]);
      expect(await queues.waiting()).toEqual({ text: 0, media: 1 });
    });

    test('the lowest number goes first, among equals the oldest; one that waits moves when it is placed anew', async () => {
      await queues.addShards([shard(0, 'text', 2_000_000), shard(1, 'text', 5), shard(2, 'text', 5)]);
      await queues.addShards([shard(3, 'text', 1), shard(4, 'text', 6), shard(5, 'text', 7)]);
      await queues.addShards([shard(5, 'text', 2), shard(3, 'text', 9)]);
      expect(await queues.nextShard('text')).toEqual({ tenant: 'acme', batchId: 'batch_a', shard: 5 });
      expect(await queues.nextShard('media')).toBeNull();
      const order: number[] = [];
      const taker = queues.takeShards('text', async (job) => void order.push(job.shard), {});
      consumers.push(taker);
      while (await taker.take());
      await expect.poll(() => order).toEqual([5, 1, 2, 4, 3, 0]);
    });

    test('a taker holds as many as it was told to take, and says which run', async () => {
      const hold = Promise.withResolvers<void>();
      await queues.addShards([shard(0), shard(1), { ...shard(2), tenant: 'other.one' }, shard(0, 'media')]);
      const begun: number[] = [];
      const taker = queues.takeShards(
        'text',
        async (job) => {
          begun.push(job.shard);
          await hold.promise;
        },
        {},
      );
      consumers.push(taker);
      expect(await taker.take()).toBe(true);
      await sleep(100);
      expect({ begun, waiting: await queues.waiting() }).toEqual({ begun: [0], waiting: { text: 2, media: 1 } });
      expect(await taker.take()).toBe(true);
      expect(await taker.take()).toBe(true);
      expect(await taker.take()).toBe(false);
      const running = await queues.runningShards();
      expect(running.toSorted((a, b) => a.shard - b.shard)).toEqual([
        { tenant: 'acme', batchId: 'batch_a', shard: 0 },
        { tenant: 'acme', batchId: 'batch_a', shard: 1 },
        { tenant: 'other.one', batchId: 'batch_a', shard: 2 },
      ]);
      // One that runs is neither queued again nor moved.
      await queues.addShards([shard(1, 'text', 3)]);
      expect(await queues.waiting()).toEqual({ text: 0, media: 1 });
      hold.resolve();
      await expect.poll(() => queues.runningShards(), { timeout: 10_000 }).toEqual([]);
    });

    test('who waits for a shard gets it when it comes, and the wait ends when the taker is closed', async () => {
      const done: number[] = [];
      const taker = queues.takeShards('text', async (job) => void done.push(job.shard), {});
      await taker.takeNext();
      const waiting = taker.takeNext();
      await queues.addShards([shard(7)]);
      expect(await waiting).toBe(true);
      await expect.poll(() => done, { timeout: 10_000 }).toEqual([7]);
      while (await taker.take());
      const last = taker.takeNext();
      await taker.close();
      expect(await last).toBe(false);
      await queues.addShards([shard(8)]);
      expect(await taker.takeNext()).toBe(false);
      expect(await queues.waiting()).toEqual({ text: 1, media: 0 });
    });

    test('a job that outlasts its lock stays with its taker', async () => {
      const hold = Promise.withResolvers<void>();
      const runs: string[] = [];
      const [first, second] = ['first', 'second'].map((name) =>
        queues.takeShards(
          'text',
          async () => {
            runs.push(name);
            await hold.promise;
          },
          { lockMs: 600 },
        ),
      ) as [ShardTaker, ShardTaker];
      consumers.push(first, second);
      await queues.addShards([shard(0)]);
      expect(await first.take()).toBe(true);
      for (let i = 0; i < 8; i++) {
        await sleep(200);
        expect(await second.take()).toBe(false);
      }
      expect(runs).toEqual(['first']);
      hold.resolve();
    });

    test('a handler that throws settles its job and tells why', async () => {
      const errors: string[] = [];
      const settled: number[] = [];
      takeAll(
        queues.takeShards(
          'media',
          async () => {
            throw new Error('the disk is full');
          },
          {
            onError: (e) => errors.push(e.message),
            onSettled: (job) => {
              settled.push(job.shard);
            },
          },
        ),
      );
      await queues.addShards([shard(7, 'media')]);
      await expect.poll(() => settled, { timeout: 10_000 }).toEqual([7]);
      expect(errors).toContain('the disk is full');
      expect(await state()).toEqual({ waiting: 0, running: 0 });
    });

    test('removing shards leaves the running one', async () => {
      const hold = Promise.withResolvers<void>();
      await queues.addShards([shard(0), shard(1)]);
      const taker = queues.takeShards('text', () => hold.promise, {});
      consumers.push(taker);
      await taker.take();
      expect(await state()).toEqual({ waiting: 1, running: 1 });
      await queues.removeShards([shard(0), shard(1)]);
      expect(await state()).toEqual({ waiting: 0, running: 1 });
      hold.resolve();
    });

    test('a job that was wiped under its taker is settled all the same', async () => {
      const hold = Promise.withResolvers<void>();
      const settled: number[] = [];
      await queues.addShards([shard(0)]);
      const taker = queues.takeShards('text', () => hold.promise, { onSettled: (job) => settled.push(job.shard) });
      consumers.push(taker);
      await taker.take();
      await queues.wipe();
      hold.resolve();
      await expect.poll(() => settled, { timeout: 10_000 }).toEqual([0]);
    });

    test('however many ask for a sweep, there is one per interval', async () => {
      let sweeps = 0;
      consumers.push(
        queues.consumeSweep(async () => {
          sweeps++;
        }),
      );
      for (let i = 0; i < 4; i++) await queues.triggerSweep(2_000);
      await expect.poll(() => sweeps, { timeout: 10_000 }).toBe(1);
      await queues.triggerSweep(2_000);
      await sleep(2_000);
      expect(sweeps).toBe(1);
      await queues.triggerSweep(2_000);
      await expect.poll(() => sweeps, { timeout: 10_000 }).toBe(2);
    });

    test('a lane of deliveries has one job at a time, comes back when it says, and runs once more if it was asked for', async () => {
      const seen: number[] = [];
      const answers = [700, null, null];
      let running = 0;
      let most = 0;
      const begun = Promise.withResolvers<void>();
      const hold = Promise.withResolvers<void>();
      const lane = (name: string) => ({ tenant: 'acme', endpointId: 'we_a', lane: name });
      consumers.push(
        queues.consumeDeliver(
          async () => {
            most = Math.max(most, ++running);
            seen.push(Date.now());
            begun.resolve();
            if (seen.length === 3) await hold.promise;
            running--;
            return answers[seen.length - 1] ?? null;
          },
          { concurrency: 8 },
        ),
      );
      await queues.triggerDeliver(lane('a'));
      await begun.promise;
      // While it is delayed, asking does not bring it back early.
      await sleep(200);
      for (let i = 0; i < 3; i++) await queues.triggerDeliver(lane('a'));
      await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(2);
      expect((seen[1] ?? 0) - (seen[0] ?? 0)).toBeGreaterThanOrEqual(650);
      await sleep(300);
      expect(seen).toHaveLength(2);
      await queues.triggerDeliver(lane('a'));
      await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(3);
      for (let i = 0; i < 3; i++) await queues.triggerDeliver(lane('a'));
      hold.resolve();
      await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(4);
      await sleep(300);
      expect({ looks: seen.length, most }).toEqual({ looks: 4, most: 1 });
    });

    test('a wiped queue takes new triggers at once, for the same batches and the sweep', async () => {
      const job = { tenant: 'acme', batchId: 'batch_a' };
      await queues.triggerReconcile(job);
      await queues.addShards([shard(0)]);
      await queues.triggerSweep(60_000);
      await queues.wipe();
      let seen = 0;
      const see = async () => {
        seen++;
      };
      consumers.push(queues.consumeReconcile(see, { concurrency: 1 }));
      takeAll(queues.takeShards('text', see, {}));
      await queues.triggerReconcile(job);
      await queues.addShards([shard(0)]);
      await expect.poll(() => seen, { timeout: 10_000 }).toBe(2);
    });

    test('a queue that is destroyed under its workers goes on, and who has a shard is told that it is not theirs any more', async () => {
      const seen: number[] = [];
      const settled: number[] = [];
      const begun = Promise.withResolvers<void>();
      const lost = Promise.withResolvers<void>();
      takeAll(
        queues.takeShards(
          'text',
          async (job, signal) => {
            seen.push(job.shard);
            if (job.shard !== 0) return;
            begun.resolve();
            await new Promise((done) => signal.addEventListener('abort', done));
            lost.resolve();
          },
          { lockMs: 2_000, onSettled: (job) => void settled.push(job.shard) },
        ),
      );
      await queues.addShards([shard(0)]);
      await begun.promise;
      await destroy();
      await lost.promise;
      await expect.poll(() => settled, { timeout: 10_000 }).toEqual([0]);
      await expect.poll(() => queues.addShards([shard(1)]).then(() => 'taken'), { timeout: 10_000 }).toBe('taken');
      await expect.poll(() => settled, { timeout: 10_000 }).toEqual([0, 1]);
      expect(seen).toEqual([0, 1]);
    });
  });
}
