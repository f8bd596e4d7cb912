import { setTimeout as sleep } from 'node:timers/promises';
import { openBucket } from '@batchmill/bucket';
import { keepHeapSmall, loadConfig } from '@batchmill/config';
import type { Engine, Generation } from '@batchmill/engine';
import { openQueues } from '@batchmill/queue';
import { createLogger } from '@batchmill/telemetry';
import { startWorker } from '@batchmill/worker';

/**
 * Infer workers with an engine that costs nothing: what is left is the product's own cost. Everything but the engine is the
 * real thing. Settings of its own:
 *
 * - `BENCH_ITEM_MS`: how long an item takes; default 0, it is answered at once.
 * - `BENCH_SLOTS`: items that are answered side by side; default 16. What is sent beyond waits, as in a real engine.
 * - `BENCH_WORKERS`: workers in this process, each with connections of its own; default 1.
 *
 * When it ends it says on standard output how often its engines were asked: `{"calls":…}`.
 */
const answer: Generation = {
  text: 'The quick brown fox jumps over the lazy dog.',
  reasoning: null,
  toolCalls: [],
  finishReason: 'stop',
  usage: { promptTokens: 20, cachedTokens: 0, completionTokens: 10, reasoningTokens: 0 },
  logprobs: null,
};

const setting = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise);
const itemMs = setting('BENCH_ITEM_MS', 0);
const slots = setting('BENCH_SLOTS', 16);
let calls = 0;

function instantEngine(): Engine {
  const ended = Promise.withResolvers<null>();
  const waiting: (() => void)[] = [];
  let busy = 0;
  const slowly = async () => {
    if (busy === slots) await new Promise<void>((start) => waiting.push(start));
    else busy++;
    await sleep(itemMs);
    // The slot goes from one to the next.
    const next = waiting.shift();
    if (next === undefined) busy--;
    else next();
    return answer;
  };
  return {
    capabilities: {
      engine: 'instant',
      model: 'batchmill-demo',
      image: false,
      audio: false,
      slots,
      contextTokens: 8192,
      logprobs: false,
      jsonSchema: false,
      embeddings: false,
    },
    generate: async () => {
      calls++;
      return itemMs === 0 ? answer : slowly();
    },
    health: async () => {},
    ended: ended.promise,
    close: async () => ended.resolve(null),
  };
}

keepHeapSmall();
const config = loadConfig();
const log = createLogger('instant-worker');
const workers = await Promise.all(
  Array.from({ length: setting('BENCH_WORKERS', 1) }, async () => {
    const bucket = await openBucket(config.bucketUrl ?? '');
    const queues = await openQueues(config.queueUrl ?? '');
    const startEngine = async () => instantEngine();
    const worker = await startWorker({ roles: ['infer'], config, bucket, queues, log, startEngine });
    return async () => {
      await worker.close();
      await queues.close();
      await bucket.close();
    };
  }),
);
log.info('worker is up');
process.on('SIGTERM', async () => {
  await Promise.all(workers.map((close) => close()));
  process.stdout.write(`${JSON.stringify({ calls })}\n`);
  process.exit(0);
});
