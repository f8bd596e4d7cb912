import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ShardJob } from './jobs.ts';
import type { Consumer, Queues } from './queues.ts';

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

    const shard = (n: number, lane: ShardJob['lane'] = 'text'): ShardJob => ({
      tenant: 'acme',
      batchId: 'batch_a',
      shard: n,
      lane,
    });

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
      consumers.push(
        queues.consumeShards(
          'text',
          async (job) => {
            done.push(job.shard);
          },
          {
            concurrency: 2,
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

    test('a handler that throws settles its job and tells why', async () => {
      const errors: string[] = [];
      const settled: number[] = [];
      consumers.push(
        queues.consumeShards(
          'media',
          async () => {
            throw new Error('the disk is full');
          },
          {
            concurrency: 1,
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
      expect(await queues.pendingShards([shard(7, 'media')])).toEqual({ waiting: 0, active: 0 });
    });

    test('removing shards leaves the running one', async () => {
      const hold = Promise.withResolvers<void>();
      const begun = Promise.withResolvers<void>();
      await queues.addShards([shard(0), shard(1)]);
      consumers.push(
        queues.consumeShards(
          'text',
          async () => {
            begun.resolve();
            await hold.promise;
          },
          { concurrency: 1 },
        ),
      );
      await begun.promise;
      expect(await queues.pendingShards([shard(0), shard(1)])).toEqual({ waiting: 1, active: 1 });
      await queues.removeShards([shard(0), shard(1)]);
      expect(await queues.pendingShards([shard(0), shard(1)])).toEqual({ waiting: 0, active: 1 });
      hold.resolve();
    });

    test('however many ask for a sweep, there is one per interval', async () => {
      let sweeps = 0;
      consumers.push(
        queues.consumeSweep(async () => {
          sweeps++;
        }),
      );
      for (let i = 0; i < 4; i++) await queues.triggerSweep(3_000);
      await expect.poll(() => sweeps, { timeout: 10_000 }).toBe(1);
      await queues.triggerSweep(3_000);
      await sleep(3_000);
      expect(sweeps).toBe(1);
      await queues.triggerSweep(3_000);
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
      consumers.push(queues.consumeShards('text', see, { concurrency: 1 }));
      await queues.triggerReconcile(job);
      await queues.addShards([shard(0)]);
      await expect.poll(() => seen, { timeout: 10_000 }).toBe(2);
    });

    test('a queue that is destroyed under its workers goes on, and who has a shard is told that it is not theirs any more', async () => {
      const seen: number[] = [];
      const settled: number[] = [];
      const begun = Promise.withResolvers<void>();
      const lost = Promise.withResolvers<void>();
      consumers.push(
        queues.consumeShards(
          'text',
          async (job, signal) => {
            seen.push(job.shard);
            if (job.shard !== 0) return;
            begun.resolve();
            await new Promise((done) => signal.addEventListener('abort', done));
            lost.resolve();
          },
          { concurrency: 2, lockMs: 2_000, onSettled: (job) => void settled.push(job.shard) },
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
