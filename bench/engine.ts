import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { describeModel, renderPrompt } from '@batchmill/engine';
import OpenAI, { toFile } from 'openai';
import { Pool } from 'undici';
import { z } from 'zod';
import { startRedis } from '../test/servers/redis.ts';
import { startStack } from '../test/servers/stack.ts';
import { socketBelow } from './engine-socket.ts';
import type { BenchOptions } from './main.ts';
import { median } from './median.ts';
import { middleModel } from './middle-model.ts';

/**
 * What the product takes away from the engine: `ratio` of the product's throughput (Redis, file bucket, create call to
 * `completed`) to that of an ideal client, which sends the same number of equally long prompts, rendered beforehand, to the
 * very same llama-server process over as many connections as there are slots. They take turns, ideal client first and last;
 * each run of the product is held against the mean of the runs beside it, and the median of the rounds counts: a machine's
 * speed wanders. Every answer has the same number of tokens: the end-of-turn tokens are forbidden.
 */
const ROUNDS = 3;
const SLOTS = 4;
const TOKENS = 64;
/** End of sequence and end of turn in the random models. */
const ENDS = { '1': -100, '6': -100 };

export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const items = options.items ?? (options.quick ? 16 : 96);
  const { model } = middleModel();
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-bench-'));
  const redis = await startRedis();
  const stack = await startStack({
    queueUrl: redis.url,
    bucketUrl: pathToFileURL(join(folder, 'bucket')).href,
    env: { MODEL: model, SLOTS: String(SLOTS), CONTEXT_TOKENS: '2048', THREADS: '2' },
  });
  try {
    const socket = socketBelow(stack.infer.pid);
    const rate = (seconds: number) => (items * TOKENS) / seconds;
    const say = (who: string, seconds: number) =>
      process.stderr.write(
        `${who}: ${items} answers in ${seconds.toFixed(1)} s, ${rate(seconds).toFixed(1)} tokens/s\n`,
      );
    await ideal(socket, model, SLOTS, 'warm');
    const ideals = [await ideal(socket, model, items, 'ideal 0')];
    say('ideal client', ideals[0] ?? 0);
    const products: number[] = [];
    const ratios: number[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      const product = await batch(stack.url, items, `batch ${round}`);
      say('product', product);
      const before = ideals.at(-1) ?? 0;
      const after = await ideal(socket, model, items, `ideal ${round}`);
      say('ideal client', after);
      products.push(product);
      ideals.push(after);
      ratios.push((before + after) / 2 / product);
    }
    return {
      ratio: Number(median(ratios).toFixed(3)),
      product_tokens_per_s: Number(rate(median(products)).toFixed(1)),
      ideal_tokens_per_s: Number(rate(median(ideals)).toFixed(1)),
      items,
    };
  } finally {
    await stack.stop();
    await redis.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** About 130 tokens, and no two alike from their first words on: nobody profits from a prompt cache. */
function question(run: string, i: number): string {
  return `${run} ${i}: ${'the user and the model read a page of the old archive in the morning '.repeat(2)}and then?`;
}

async function batch(url: string, items: number, run: string): Promise<number> {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
  const lines = Array.from({ length: items }, (_, i) =>
    JSON.stringify({
      custom_id: `item-${i}`,
      method: 'POST',
      url: '/v1/chat/completions',
      body: {
        model: 'default',
        messages: [{ role: 'user', content: question(run, i) }],
        max_tokens: TOKENS,
        temperature: 0,
        logit_bias: ENDS,
      },
    }),
  );
  const file = await client.files.create({
    file: await toFile(Buffer.from(lines.join('\n')), 'in.jsonl'),
    purpose: 'batch',
  });
  const start = performance.now();
  const { id } = await client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  for (;;) {
    const state = await client.batches.retrieve(id);
    if (state.status === 'completed') {
      const tokens = state.usage?.output_tokens ?? 0;
      if (state.request_counts?.completed !== items || tokens !== items * TOKENS)
        throw new Error(`${state.request_counts?.completed} answers with ${tokens} tokens, not ${items * TOKENS}`);
      return (performance.now() - start) / 1000;
    }
    if (state.status === 'failed') throw new Error('the batch failed');
    // Not more often: a question costs the API some milliseconds of the cores the engine is measured on.
    await sleep(250);
  }
}

async function ideal(socketPath: string, model: string, items: number, run: string): Promise<number> {
  const { chatTemplate, controlTokens } = describeModel(model);
  const prompts = Array.from({ length: items }, (_, i) => {
    const request = {
      messages: [{ role: 'user' as const, content: [{ type: 'text' as const, text: question(run, i) }] }],
      thinking: false,
      sampling: { temperature: 0, topP: 1, topK: 1 },
      stop: [],
      format: { type: 'text' as const },
    };
    return renderPrompt(chatTemplate ?? '', request, { mediaMarker: '<none>', controlTokens: [...controlTokens] })
      .prompt;
  });
  const pool = new Pool('http://localhost', { socketPath, connections: SLOTS, headersTimeout: 0, bodyTimeout: 0 });
  const start = performance.now();
  const answer = async () => {
    for (let prompt = prompts.pop(); prompt !== undefined; prompt = prompts.pop()) {
      const { statusCode, body } = await pool.request({
        path: '/completion',
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          prompt,
          n_predict: TOKENS,
          temperature: 0,
          top_k: 1,
          logit_bias: Object.keys(ENDS).map((token) => [Number(token), false]),
          cache_prompt: true,
          response_fields: ['content', 'tokens_predicted'],
        }),
      });
      const { tokens_predicted: tokens } = z.object({ tokens_predicted: z.number() }).parse(await body.json());
      if (statusCode !== 200 || tokens !== TOKENS) throw new Error(`status ${statusCode}, ${tokens} tokens`);
    }
  };
  await Promise.all(Array.from({ length: SLOTS }, answer));
  const seconds = (performance.now() - start) / 1000;
  await pool.close();
  return seconds;
}
