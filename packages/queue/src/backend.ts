import type { Processor, Queue, Worker, WorkerOptions } from 'bullmq';
import {
  createPostgresBackend,
  createRedisBackend,
  DEFAULT_SCHEMA,
  isPgPool,
  runMigrations,
  withBackend,
} from 'bullmq';
import { QueueUnavailableError, within } from './errors.ts';
import { jobTraces, waited } from './observed.ts';

type JobProcessor = Processor<object, void, string>;
type JobWorkerOptions = Omit<WorkerOptions, 'connection'>;

/** What we use of BullMQ's `Queue`, the same on every backend. */
export type JobQueue = Pick<
  Queue<object, void, string>,
  'add' | 'addBulk' | 'getJob' | 'getJobCounts' | 'getRanges' | 'getWorkersCount' | 'obliterate' | 'remove' | 'close'
>;

/** What we use of a `Worker` that takes jobs when it is told to: BullMQ's pattern of fetching by hand. */
export type JobSource = Pick<
  Worker<object, void, string>,
  'getNextJob' | 'extendJobLocks' | 'startStalledCheckTimer' | 'trace' | 'close'
>;

/** What we use of BullMQ's `Worker`. */
export interface JobWorker {
  /** Takes no further jobs; resolves when the running ones have returned. */
  close(): Promise<void>;
}

/** What a worker says of itself. `settled` comes after the job has left the queue, and not at all if it was not this worker's any more. */
export interface JobWorkerEvents {
  error(error: Error): void;
  settled(job: object): void;
}

/** BullMQ on one of its backends: the only place that knows which. */
export interface Backend {
  readonly kind: 'redis' | 'postgres';
  queue(name: string): JobQueue;
  worker(name: string, processor: JobProcessor, options: JobWorkerOptions, events: JobWorkerEvents): JobWorker;
  /** Jobs of a queue, one at a time, as they are asked for. */
  source(name: string, options: JobWorkerOptions, onError: (error: Error) => void): JobSource;
  /** Throws within a few seconds if the server does not answer. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** BullMQ's own: with a pool of ours as the connection it takes no other name. Queue names carry ours instead. */
const SCHEMA = DEFAULT_SCHEMA;

/**
 * Opens the queue's server: `redis://`, `rediss://` (ioredis) or `postgres://` (BullMQ's PostgreSQL backend, its
 * schema migrated here).
 *
 * @throws Error that names the URL's host, never its password.
 */
export function openBackend(url: string): Promise<Backend> {
  return /^rediss?:/.test(url) ? openRedis(url) : openPostgres(url);
}

async function openRedis(url: string): Promise<Backend> {
  const { Redis } = await import('ioredis');
  // null: BullMQ's blocking commands must wait out a restart of the server instead of failing after 20 tries.
  const connection = new Redis(url, { maxRetriesPerRequest: null, lazyConnect: true });
  const seen = rememberErrors(connection);
  const bull = withBackend(createRedisBackend);
  const traces = await jobTraces();
  const prefix = 'batchmill';
  try {
    await within(10_000, connection.connect(), () => 'no answer in 10 s');
  } catch (error) {
    connection.disconnect();
    throw new QueueUnavailableError(`Redis at ${host(url)} cannot be used as the queue: ${message(error)}${seen()}`, {
      cause: error,
    });
  }
  return {
    kind: 'redis',
    queue: (name) => deaf(new bull.Queue<object, void, string>(name, { ...traces, connection, prefix })),
    worker: (name, processor, options, events) =>
      listen(
        new bull.Worker<object, void, string>(name, waited(name, processor), {
          ...traces,
          ...options,
          connection,
          prefix,
        }),
        events,
      ),
    source: (name, options, onError) =>
      new bull.Worker<object, void, string>(name, null, {
        ...traces,
        ...options,
        connection,
        prefix,
        autorun: false,
      }).on('error', onError),
    check: async () => {
      await within(3_000, connection.ping(), () => `Redis at ${host(url)} does not answer${seen()}`);
    },
    close: async () => {
      if (connection.status === 'ready') await connection.quit().catch(() => {});
      connection.disconnect();
    },
  };
}

async function openPostgres(url: string): Promise<Backend> {
  const { default: pg } = await import('pg');
  // Each worker keeps one connection of the pool for LISTEN.
  const pool = new pg.Pool({
    connectionString: url,
    max: 24,
    options: `-c search_path="${SCHEMA}"`,
    keepAlive: true,
    connectionTimeoutMillis: 10_000,
  });
  // Every queue and worker listens for its errors: more than the ten at which Node suspects a leak.
  pool.setMaxListeners(50);
  const seen = rememberErrors(pool);
  const bull = withBackend(createPostgresBackend);
  const traces = await jobTraces();
  const makeSchema = async () => {
    const client = await pool.connect();
    try {
      await runMigrations(client, SCHEMA);
    } finally {
      client.release();
    }
  };
  let making: Promise<void> | null = null;
  const ask = pool.query.bind(pool);
  // A schema that somebody drops under us is a queue that is wiped: whoever misses it first makes it again.
  const query = async (text: string, values?: unknown[]) => {
    try {
      return await ask(text, values);
    } catch (error) {
      if (!isSchemaMissing(error)) throw error;
      making ??= makeSchema().finally(() => {
        making = null;
      });
      await making;
      return ask(text, values);
    }
  };
  // BullMQ describes a pool by its shape; @types/pg writes the same shape in overloads TypeScript cannot match.
  const connection: unknown = Object.assign(pool, { query });
  if (!isPgPool(connection)) throw new Error('this version of pg is not one BullMQ knows');
  try {
    await makeSchema();
  } catch (error) {
    await pool.end().catch(() => {});
    throw new QueueUnavailableError(`PostgreSQL at ${host(url)} cannot be used as the queue: ${message(error)}`, {
      cause: error,
    });
  }
  return {
    kind: 'postgres',
    queue: (name) => deaf(new bull.Queue<object, void, string>(name, { ...traces, connection })),
    worker: (name, processor, options, events) =>
      listen(
        new bull.Worker<object, void, string>(name, waited(name, processor), { ...traces, ...options, connection }),
        events,
      ),
    source: (name, options, onError) =>
      new bull.Worker<object, void, string>(name, null, { ...traces, ...options, connection, autorun: false }).on(
        'error',
        onError,
      ),
    check: async () => {
      await within(3_000, pool.query('SELECT 1'), () => `PostgreSQL at ${host(url)} does not answer${seen()}`);
    },
    close: async () => {
      await pool.end();
    },
  };
}

/** `invalid_schema_name`, `undefined_table`, `undefined_function`, `undefined_object` (PostgreSQL's table of error codes). */
const SCHEMA_MISSING = ['3F000', '42P01', '42883', '42704'];

function isSchemaMissing(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && SCHEMA_MISSING.includes(error.code)
  );
}

/**
 * A lost connection shows as a failing `check` and as failing calls, and BullMQ reconnects by itself; the event needs a
 * listener only because an unheard one would end the process.
 */
function deaf<Q extends { on(event: 'error', listener: () => void): unknown }>(queue: Q): Q {
  queue.on('error', () => {});
  return queue;
}

interface Listenable extends JobWorker {
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'failed', listener: (job: object | undefined, error: Error) => void): unknown;
  on(event: 'completed', listener: (job: object) => void): unknown;
}

function listen(worker: Listenable, events: JobWorkerEvents): JobWorker {
  worker.on('error', (error) => events.error(error));
  worker.on('failed', (job, error) => {
    events.error(error);
    if (job !== undefined) events.settled(job);
  });
  worker.on('completed', (job) => events.settled(job));
  return worker;
}

/** Keeps the last connection error for messages, and keeps the process alive: an unheard `error` event would end it. */
function rememberErrors(emitter: { on(event: 'error', listener: (error: Error) => void): unknown }): () => string {
  let last = '';
  emitter.on('error', (error) => {
    last = ` (${message(error)})`;
  });
  return () => last;
}

function message(error: unknown): string {
  if (error instanceof AggregateError && error.errors[0] !== undefined) return message(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}

function host(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'the given URL';
}
