import { createServer } from 'node:http';
import { openBucket } from '@batchmill/bucket';
import { ConfigError, keepHeapSmall, loadConfig } from '@batchmill/config';
import { openQueues } from '@batchmill/queue';
import { createLogger, endInOrder, failedStart, METRICS_TYPE, metricsText, startTraces } from '@batchmill/telemetry';
import { readArguments } from './arguments.ts';
import { startWorker, type Worker } from './worker.ts';

/**
 * The worker process: `node apps/worker/src/main.ts --roles control,infer`. Needs BUCKET_URL and QUEUE_URL, since it shares
 * both with other processes. `--lanes text` serves one lane only; `--exit-when-idle 120s` ends an infer worker that has had no work for
 * so long, for machines that are paid by the minute. With `HEALTH_PORT` it answers /healthz, /readyz and /metrics. SIGTERM
 * stops it without losing anything.
 */
const log = createLogger('worker');

/** What it may take, after the running items' own time, to write what is finished and to end. */
const HAND_IN_MS = 10_000;

async function main(): Promise<void> {
  keepHeapSmall();
  const { roles, lanes, exitWhenIdleMs } = readArguments(process.argv.slice(2));
  const config = loadConfig();
  if (config.bucketUrl === null || config.queueUrl === null)
    throw new ConfigError('Set BUCKET_URL and QUEUE_URL. To run everything in one process instead: npm start');
  const endTraces = await startTraces('worker');
  const bucket = await openBucket(config.bucketUrl);
  const queues = await openQueues(config.queueUrl);

  let worker: Worker | null = null;
  const health = serveHealth(
    () => {
      const engine = worker?.infer?.engine;
      return { roles, ...(engine === undefined ? {} : { engine: { up: engine.up, deaths: engine.deaths } }) };
    },
    async () => {
      await Promise.all([bucket.check(), queues.check()]);
      if (worker === null) throw new Error('the engine is starting');
      await worker.infer?.engine.health();
    },
  );

  const stop = endInOrder(log, async () => {
    const late = () => {
      log.error('not everything could be handed in before the time was over; what was not is done again');
      process.exit(1);
    };
    setTimeout(late, config.worker.stopGraceMs + HAND_IN_MS).unref();
    await worker?.close();
    health?.close();
    await queues.close();
    await bucket.close();
    await endTraces();
  });

  let said = '';
  worker = await startWorker({
    roles,
    lanes,
    config,
    bucket,
    queues,
    log,
    onProgress: (message) => {
      if (message !== said) log.info(message);
      said = message;
    },
  });
  log.info({ roles }, 'worker is up');
  if (exitWhenIdleMs !== null) stopWhenIdle(worker, exitWhenIdleMs, stop);
}

/** A shard is taken or it is not, so a second between looks is soon enough. */
const IDLE_LOOK_MS = 1_000;

function stopWhenIdle(worker: Worker, afterMs: number, stop: (why: string) => Promise<void>): void {
  const look = setInterval(() => {
    if ((worker.infer?.idleMs() ?? 0) < afterMs) return;
    clearInterval(look);
    void stop(`idle for ${Math.round(afterMs / 1000)} s`);
  }, IDLE_LOOK_MS);
}

function serveHealth(state: () => object, ready: () => Promise<void>): { close(): void } | null {
  const port = Number(process.env.HEALTH_PORT ?? '');
  if (!Number.isInteger(port) || port <= 0) return null;
  const server = createServer(async (request, response) => {
    const answer = (status: number, body: object) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (request.url === '/metrics') {
      response.writeHead(200, { 'content-type': METRICS_TYPE }).end(await metricsText());
      return;
    }
    if (request.url === '/healthz') return answer(200, { status: 'ok', ...state() });
    if (request.url !== '/readyz') return answer(404, { status: 'not found' });
    await ready().then(
      () => answer(200, { status: 'ok', ...state() }),
      (error: unknown) =>
        answer(503, { status: 'unavailable', error: error instanceof Error ? error.message : String(error) }),
    );
  });
  server.listen(port);
  return server;
}

main().catch((error: unknown) => failedStart(log, error));
