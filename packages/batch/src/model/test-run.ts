import { type Bucket, layout } from '@batchmill/bucket';
import { type BatchObject, newId, RequestError, type Usage } from '@batchmill/contract';
import { createFile } from '@batchmill/files';
import type { ShardJob, ShardRef } from '@batchmill/queue';
import { expect } from 'vitest';
import { checkBucket } from '../../../../test/chaos/check.ts';
import { type ReconcileDeps, reconcile } from '../reconcile.ts';
import { deleteBatch } from '../remove.ts';
import { cancelBatch, createBatch, getBatch } from '../requests.ts';
import { resultRecord } from '../results/record.ts';
import { PartWriter, readFinished, readShard } from '../results/shard.ts';
import { getRetryable, retryBatch } from '../retry.ts';
import { Schedule } from '../schedule/schedule.ts';
import { FinalizingFact, readFact } from '../state.ts';
import { sweep } from '../sweep.ts';
import { linesOf, TENANT } from '../test-batch.ts';
import { Crash, type CrashPoint, crashing } from './test-crash.ts';

const ENDPOINT = '/v1/chat/completions';
const TERMINAL = ['completed', 'failed', 'expired', 'cancelled'];
/** What a client may see after what. */
const NEXT: Record<string, readonly string[]> = {
  validating: ['in_progress', 'cancelling', 'finalizing', ...TERMINAL],
  in_progress: ['cancelling', 'finalizing', ...TERMINAL],
  // It may have been finalizing already when somebody asked.
  cancelling: ['finalizing', ...TERMINAL],
  finalizing: TERMINAL,
};

/** The number of an item, also in a batch that does some of another's again. */
const numberOf = (customId: string) => Number(customId.slice(3));

const usageOf = (n: number): Usage => ({
  input_tokens: 3 + n,
  input_tokens_details: { cached_tokens: 1 },
  output_tokens: 2,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 5 + n,
});

/** A shard as a worker took it: what it holds stays as it was then, whatever others do meanwhile. */
interface Taken {
  job: ShardJob;
  writer: string;
  todo: { position: number; customId: string }[];
  size: number;
}

/** One batch on a real bucket, everything that may be done to it, and what must hold whatever was done. */
export class Run {
  readonly id: string;
  readonly items: number;
  /** Items that are errors, by number. */
  readonly #fails: (n: number) => boolean;
  readonly #bucket: Bucket;
  readonly #queued = new Map<string, ShardJob>();
  /** Every shard job there ever was: one of them may come again at any time. */
  readonly #known = new Map<string, ShardJob>();
  readonly #taken: Taken[] = [];
  /** Results that were acknowledged before the outcome was settled: they must be delivered. */
  readonly #acknowledged = new Set<number>();
  readonly #triggered = new Set<string>();
  /** The batch that does again what failed. */
  #retry: { id: string; numbers: number[] } | null = null;
  #asked = false;
  #input: string | null = null;
  #seen: BatchObject | null = null;
  #stopped = false;
  #writers = 0;

  constructor(bucket: Bucket, items: number, fails: (n: number) => boolean) {
    this.#bucket = bucket;
    this.items = items;
    this.#fails = fails;
    // Old enough that one whose creation was broken off is given up at the next look.
    this.id = newId('batch_').replace(/_[0-9a-f]{12}/, `_${(Date.now() - 3_600_000).toString(16).padStart(12, '0')}`);
  }

  get created(): boolean {
    return this.#seen !== null;
  }

  get takes(): number {
    return this.#taken.length;
  }

  get known(): number {
    return this.#known.size;
  }

  async create(crash: CrashPoint | null): Promise<void> {
    this.#input ??= await this.#upload();
    const request = {
      input_file_id: this.#input,
      endpoint: ENDPOINT as '/v1/chat/completions',
      completion_window: '24h' as const,
    };
    await this.#asProcess(crash, (bucket) =>
      createBatch({ bucket, trigger: async () => {} }, TENANT, request, { id: this.id }),
    );
  }

  async cancel(crash: CrashPoint | null): Promise<void> {
    const before = this.#seen?.status ?? '';
    await this.#asProcess(crash, async (bucket) => {
      try {
        await cancelBatch({ bucket, trigger: async () => {} }, TENANT, this.id);
        this.#stopped = true;
      } catch (error) {
        // Too late to cancel: only ever said of one that has ended or is about to.
        if (!(error instanceof RequestError)) throw error;
        expect([...TERMINAL, 'finalizing']).toContain(before);
      }
    });
    // It may have got as far as the fact.
    if (crash !== null) this.#stopped ||= (await this.#bucket.head(layout.batch.cancel(TENANT, this.id))) !== null;
  }

  /** Its window ends now. */
  async expire(): Promise<void> {
    const key = layout.batch.batch(TENANT, this.id);
    const fact = JSON.parse(Buffer.from((await this.#bucket.get(key)) ?? []).toString());
    await this.#bucket.put(key, JSON.stringify({ ...fact, expires_at: Math.floor(Date.now() / 1000) - 60 }));
    this.#stopped = true;
  }

  /** Only of one that has ended. */
  async retry(crash: CrashPoint | null): Promise<void> {
    const deps = (bucket: Bucket) => ({ bucket, trigger: async () => {} });
    const errors = (await linesOf(this.#bucket, this.#seen?.error_file_id ?? null)).map((l) => numberOf(l.custom_id));
    if (errors.length === 0) return;
    this.#asked = true;
    await this.#asProcess(crash, async (bucket) => {
      const retryable = await getRetryable(deps(bucket), TENANT, this.id);
      if (retryable === null) throw new Error('there is nothing to retry');
      const only = ['failed' as const, 'expired' as const, 'cancelled' as const];
      const { id } = await retryBatch(deps(bucket), retryable, { only }, {});
      // Asked twice, it gives the one that was made.
      if (this.#retry !== null) expect(id).toBe(this.#retry.id);
      this.#retry = { id, numbers: errors };
    });
  }

  /** Two at once where a second is given. */
  async reconcile(...crashes: (CrashPoint | null)[]): Promise<void> {
    await Promise.all(
      crashes.map((crash) => this.#asProcess(crash, (bucket) => reconcile(this.#deps(bucket), TENANT, this.id))),
    );
  }

  async sweep(): Promise<void> {
    await sweep(this.#bucket, this.#deps(this.#bucket).queues);
    for (const id of [...this.#triggered]) {
      this.#triggered.delete(id);
      await reconcile(this.#deps(this.#bucket), TENANT, id);
    }
  }

  wipe(): void {
    this.#queued.clear();
    this.#triggered.clear();
  }

  /** A worker takes a shard: one that is queued, or again one that once was. */
  async take(which: number, again: boolean): Promise<void> {
    const jobs = again ? this.#known : this.#queued;
    const [key, job] = [...jobs][which % Math.max(1, jobs.size)] ?? [];
    if (key === undefined || job === undefined) return;
    this.#queued.delete(key);
    const finished = await readFinished(this.#bucket, TENANT, job.batchId, job.shard);
    if (finished.done) return;
    // The batch has ended and was cleared up.
    if ((await this.#bucket.head(layout.batch.shard(TENANT, job.batchId, job.shard))) === null) return;
    const items = await readShard(this.#bucket, TENANT, job.batchId, job.shard);
    const todo = items
      .filter(({ position }) => !finished.positions.has(position))
      .map(({ position, custom_id: customId }) => ({ position, customId }));
    this.#taken.push({ job, writer: `w${this.#writers++}`, todo, size: items.length });
  }

  /** A worker hands in some of what it took, at last; `all`: what is left of it. Whatever has happened to the batch meanwhile. */
  async handIn(which: number, all: boolean, share: number, crash: CrashPoint | null): Promise<void> {
    const taken = this.#taken[which % Math.max(1, this.#taken.length)];
    if (taken === undefined) return;
    const count = all ? taken.todo.length : Math.min(taken.todo.length, share);
    const mine = taken.todo.splice(0, count);
    const complete = taken.todo.length === 0;
    if (complete) this.#taken.splice(this.#taken.indexOf(taken), 1);
    const records = mine.map(({ position, customId }) =>
      resultRecord(
        position,
        {
          id: `line-${position}`,
          custom_id: customId,
          response: {
            status_code: this.#fails(numberOf(customId)) ? 400 : 200,
            request_id: 'r',
            body: { by: taken.writer },
          },
          error: null,
        },
        usageOf(numberOf(customId)),
      ),
    );
    const at = { tenant: TENANT, id: taken.job.batchId, shard: taken.job.shard, writer: taken.writer };
    const settled = await readFact(this.#bucket, layout.batch.finalizing(TENANT, at.id), FinalizingFact);
    const died = await this.#asProcess(crash, (bucket) => new PartWriter(bucket, at).write(records, complete));
    if (died) {
      const place = this.#taken.indexOf(taken);
      if (place !== -1) this.#taken.splice(place, 1);
    } else if (settled === null && at.id === this.id)
      for (const { position } of records) this.#acknowledged.add(position);
  }

  /** What holds at every moment. */
  async check(): Promise<void> {
    const before = this.#seen;
    const now = await getBatch({ bucket: this.#bucket, trigger: async () => {} }, TENANT, this.id);
    this.#seen = now;
    if (now === null) return expect(before).toBeNull();
    const { total = 0, completed = 0, failed = 0 } = now.request_counts ?? {};
    expect(completed + failed).toBeLessThanOrEqual(total);
    if (before === null) return;
    // `expire` below moves this even of one that has ended.
    if (TERMINAL.includes(before.status)) return expect(now).toEqual({ ...before, expires_at: now.expires_at });
    if (now.status !== before.status) expect(NEXT[before.status]).toContain(now.status);
    if (TERMINAL.includes(now.status)) await this.#checkEnded(now);
  }

  /** Whatever has happened: with workers that work and a sweep that comes round, everything ends well. */
  async recover(): Promise<void> {
    // Who hears nothing asks again.
    if (this.#asked) await this.retry(null);
    for (let round = 0; round < 20; round++) {
      await this.sweep();
      await this.check();
      if ((await this.#open()) === 0) break;
      while (this.#queued.size > 0) await this.take(0, false);
      while (this.#taken.length > 0) await this.handIn(0, true, 0, null);
    }
    // What was taken and never handed in comes late.
    while (this.#taken.length > 0) await this.handIn(0, true, 0, null);
    await this.check();
    if (this.#seen !== null) expect(TERMINAL).toContain(this.#seen.status);
    if (this.#retry !== null) await this.#checkRetry(this.#retry);
    // The sweep ends what crashed behind the last fact.
    await this.sweep();
    expect(await checkBucket(this.#bucket)).toEqual([]);
  }

  /** It may be deleted then, and nothing of it stays. */
  async remove(crash: CrashPoint | null): Promise<void> {
    if (this.#seen === null) return;
    await this.#asProcess(crash, (bucket) => deleteBatch(bucket, TENANT, this.id));
    if (crash === null) expect(await this.#bucket.head(layout.batch.batch(TENANT, this.id))).toBeNull();
    expect(await checkBucket(this.#bucket)).toEqual([]);
  }

  async #open(): Promise<number> {
    let open = 0;
    for await (const _ of this.#bucket.list(layout.batch.openPrefix)) open++;
    return open;
  }

  async #checkRetry({ id, numbers }: { id: string; numbers: number[] }): Promise<void> {
    const batch = await getBatch({ bucket: this.#bucket, trigger: async () => {} }, TENANT, id);
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: numbers.length } });
    const output = await linesOf(this.#bucket, batch?.output_file_id ?? null);
    const errors = await linesOf(this.#bucket, batch?.error_file_id ?? null);
    const found = [...output, ...errors].map((line) => numberOf(line.custom_id));
    expect(found.toSorted((a, b) => a - b)).toEqual(numbers);
    expect(errors.map((line) => numberOf(line.custom_id))).toEqual(numbers.filter(this.#fails));
  }

  async #checkEnded(batch: BatchObject): Promise<void> {
    const output = await linesOf(this.#bucket, batch.output_file_id);
    const errors = await linesOf(this.#bucket, batch.error_file_id);
    const position = (line: { custom_id: string }) => numberOf(line.custom_id);
    for (const file of [output, errors])
      expect(file.map(position)).toEqual(file.map(position).toSorted((a, b) => a - b));
    const all = [...output, ...errors];
    expect(all.map(position).toSorted((a, b) => a - b)).toEqual(Array.from({ length: this.items }, (_, i) => i));
    expect(batch.request_counts).toEqual({ total: this.items, completed: output.length, failed: errors.length });
    const answered = all.filter(({ error }) => error === null);
    for (const line of answered) expect(errors.includes(line)).toBe(this.#fails(position(line)));
    expect(batch.usage?.total_tokens).toBe(
      answered.reduce((sum, line) => sum + usageOf(position(line)).total_tokens, 0),
    );
    const delivered = new Set(answered.map(position));
    for (const acknowledged of this.#acknowledged) expect(delivered).toContain(acknowledged);
    if (!this.#stopped) expect(batch.status).toBe('completed');
    if (batch.status === 'completed') expect(answered).toHaveLength(this.items);
  }

  #deps(bucket: Bucket): ReconcileDeps {
    const name = (job: ShardRef) => `${job.batchId}.${job.shard}`;
    const runningShards = async () => [];
    return {
      bucket,
      schedule: new Schedule(bucket, { runningShards }, { window: 2 }),
      queues: {
        addShards: async (jobs) => {
          for (const job of jobs) {
            this.#known.set(name(job), job);
            this.#queued.set(name(job), job);
          }
        },
        removeShards: async (jobs) => {
          for (const job of jobs) this.#queued.delete(name(job));
        },
        runningShards,
        triggerReconcile: async ({ batchId }) => void this.#triggered.add(batchId),
      },
    };
  }

  /** Does it as a process that may die on the way. True if it did. */
  async #asProcess(crash: CrashPoint | null, work: (bucket: Bucket) => Promise<unknown>): Promise<boolean> {
    try {
      await work(crash === null ? this.#bucket : crashing(this.#bucket, crash));
      return false;
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      return true;
    }
  }

  async #upload(): Promise<string> {
    const lines = Array.from({ length: this.items }, (_, i) => {
      // Every third has a picture: two lanes, several shards.
      const content = i % 3 === 0 ? [{ type: 'image_url' }] : 'x';
      // Long answers make small shards.
      const body = { model: 'm', messages: [{ role: 'user', content }], max_tokens: 8_192 };
      return JSON.stringify({ custom_id: `id-${i}`, method: 'POST', url: ENDPOINT, body });
    });
    const file = await createFile(this.#bucket, TENANT, {
      filename: 'in.jsonl',
      purpose: 'batch',
      source: (async function* () {
        yield Buffer.from(lines.join('\n'));
      })(),
    });
    return file.id;
  }
}
