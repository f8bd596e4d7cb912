import { openBucket } from '@batchmill/bucket';
import { loadConfig } from '@batchmill/config';
import type { Engine, Generation } from '@batchmill/engine';
import { openQueues } from '@batchmill/queue';
import { createLogger } from '@batchmill/telemetry';
import { startWorker } from '@batchmill/worker';

/**
 * The infer worker with an engine that answers at once: what is left is the product's own cost. Everything but the engine is
 * the real thing.
 */
const answer: Generation = {
  text: 'The quick brown fox jumps over the lazy dog.',
  reasoning: null,
  toolCalls: [],
  finishReason: 'stop',
  usage: { promptTokens: 20, cachedTokens: 0, completionTokens: 10, reasoningTokens: 0 },
  logprobs: null,
};

function instantEngine(): Engine {
  const ended = Promise.withResolvers<null>();
  return {
    capabilities: {
      engine: 'instant',
      model: 'batchmill-demo',
      image: false,
      audio: false,
      slots: 16,
      contextTokens: 8192,
      logprobs: false,
      jsonSchema: false,
      embeddings: false,
    },
    generate: async () => answer,
    health: async () => {},
    ended: ended.promise,
    close: async () => ended.resolve(null),
  };
}

const config = loadConfig();
const log = createLogger('instant-worker');
const bucket = await openBucket(config.bucketUrl ?? '');
const queues = await openQueues(config.queueUrl ?? '');
const worker = await startWorker({
  roles: ['infer'],
  config,
  bucket,
  queues,
  log,
  startEngine: async () => instantEngine(),
});
log.info('worker is up');
process.on('SIGTERM', async () => {
  await worker.close();
  await queues.close();
  await bucket.close();
  process.exit(0);
});
