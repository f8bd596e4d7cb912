import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Job, SpanKind } from 'bullmq';
import type { Backend, JobSource } from './backend.ts';
import { LEAVE_MS, patiently, within } from './errors.ts';
import { noteWait } from './observed.ts';

export interface TakerOptions {
  /** Silent for this long, a worker counts as dead and what it took goes to another. */
  lockMs: number;
  onError: (error: Error) => void;
  /** Called after a job has left the queue, or is known to have been lost with it. */
  onSettled: (data: object) => void;
}

/** `lost` fires when the job is not this worker's any more. */
type Handler = (data: object, lost: AbortSignal) => Promise<void>;

interface Held {
  id: string;
  lost: AbortController;
  handled: Promise<void>;
  left: Promise<void>;
}

/** How long one wait for a job lasts: `close` has no other way to end it than to wait for its end. */
const WAIT_SECONDS = 0.5;
/** Pause after a queue that failed. */
const PAUSE_MS = 500;

/**
 * Takes jobs of one queue when it is asked to, where BullMQ's own loop takes as many as its concurrency allows: how much a
 * worker should hold depends on what is in the jobs. It is BullMQ's documented way of fetching by hand, so locks are renewed
 * and jobs are finished here.
 */
export class Taker {
  readonly #source: JobSource;
  readonly #name: string;
  readonly #handler: Handler;
  readonly #options: TakerOptions;
  /** By token. */
  readonly #held = new Map<string, Held>();
  readonly #renewal: NodeJS.Timeout;
  #waiting: Promise<boolean> | null = null;
  readonly #taking = new Set<Promise<boolean>>();
  #closing = false;

  constructor(backend: Backend, name: string, handler: Handler, options: TakerOptions) {
    const { lockMs } = options;
    this.#name = name;
    this.#handler = handler;
    this.#options = options;
    const workerOptions = {
      lockDuration: lockMs,
      stalledInterval: lockMs,
      // A job whose worker died goes back as often as it takes: what may not be repeated is decided per item, not here.
      maxStalledCount: 1_000,
      drainDelay: WAIT_SECONDS,
    };
    this.#source = backend.source(name, workerOptions, (error) => this.#report(error));
    this.#source.startStalledCheckTimer().catch((error: unknown) => this.#report(error));
    // Often, so that a job that is not ours any more is noticed soon.
    this.#renewal = setInterval(() => void this.#renew(), lockMs / 4);
  }

  /** Takes the first job if there is one. Gives whether it did; the job is run meanwhile. */
  take(): Promise<boolean> {
    return this.#begin(false);
  }

  /** Waits for a job, for half a second at most, and takes it. One wait at a time: later calls join the first. */
  takeNext(): Promise<boolean> {
    this.#waiting ??= this.#begin(true).finally(() => {
      this.#waiting = null;
    });
    return this.#waiting;
  }

  #begin(block: boolean): Promise<boolean> {
    const taking = this.#take(block).finally(() => this.#taking.delete(taking));
    this.#taking.add(taking);
    return taking;
  }

  async #take(block: boolean): Promise<boolean> {
    if (this.#closing) return false;
    const token = randomUUID();
    let job: Job<object, void, string> | undefined;
    try {
      job = await this.#source.getNextJob(token, { block });
    } catch (error) {
      this.#report(error);
      if (!this.#closing) await sleep(PAUSE_MS);
    }
    if (job?.id === undefined) return false;
    const lost = new AbortController();
    noteWait(this.#name, job);
    // What follows the job belongs to its trace too.
    let settled = () => this.#options.onSettled(job.data);
    const handled = this.#handle(job, () => {
      settled = AsyncLocalStorage.bind(settled);
      return this.#handler(job.data, lost.signal);
    });
    const left = this.#leave(job, token, handled, () => settled()).finally(() => this.#held.delete(token));
    this.#held.set(token, { id: job.id, lost, handled, left });
    return true;
  }

  /** In a span that belongs to whoever queued the job, as BullMQ's own loop runs it. */
  async #handle(job: Job<object, void, string>, run: () => Promise<void>): Promise<void> {
    await this.#source.trace(SpanKind.CONSUMER, 'process', this.#name, run, job.opts.telemetry?.metadata);
  }

  async #leave(
    job: Job<object, void, string>,
    token: string,
    handled: Promise<void>,
    settled: () => void,
  ): Promise<void> {
    const leaving = handled.then(
      () => job.moveToCompleted(undefined, token, false),
      (error: Error) => {
        this.#report(error);
        return job.moveToFailed(error, token, false);
      },
    );
    await handled.catch(() => {});
    try {
      await within(LEAVE_MS, leaving, () => `job ${job.id} does not leave the queue`);
    } catch (error) {
      // The queue was wiped under it, or is away; or the job went to another, this worker being thought dead.
      this.#report(error);
    }
    try {
      settled();
    } catch (error) {
      // A job that cannot be read must not end the process: whoever queued it has another version, or is nobody of ours.
      this.#report(error);
    }
  }

  async #renew(): Promise<void> {
    const held = [...this.#held];
    if (held.length === 0) return;
    const ids = held.map(([, { id }]) => id);
    const tokens = held.map(([token]) => token);
    try {
      const lost = new Set(await this.#source.extendJobLocks(ids, tokens, this.#options.lockMs));
      for (const [token, { id, lost: signal }] of held) {
        // One that has left meanwhile has no lock, and needs none.
        if (lost.has(id) && this.#held.has(token)) signal.abort(new Error("the job is not this worker's any more"));
      }
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    // Connections that break at the end are nobody's business: the embedded server is stopped right behind us.
    if (!this.#closing) this.#options.onError(error instanceof Error ? error : new Error(String(error)));
  }

  /** Takes nothing more; resolves when what it took has been run and has left the queue, if that answers. */
  async close(): Promise<void> {
    this.#closing = true;
    // Without its server it would wait for ever.
    await patiently(Promise.all(this.#taking));
    await Promise.allSettled([...this.#held.values()].map(({ handled }) => handled));
    await Promise.all([...this.#held.values()].map(({ left }) => left));
    clearInterval(this.#renewal);
    await patiently(this.#source.close());
  }
}
