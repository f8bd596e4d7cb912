import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import OpenAI, { toFile } from 'openai';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { audio, chat, image, jsonl, type Line, text, wav } from './items.ts';

const run = promisify(execFile);
const CLI = fileURLToPath(new URL('../../apps/cli/src/main.ts', import.meta.url));

/** What the tests read of a result line. */
export const ResultLine = z.object({
  id: z.string(),
  custom_id: z.string(),
  response: z
    .object({
      status_code: z.number(),
      request_id: z.string(),
      body: z.object({
        choices: z
          .array(z.object({ message: z.object({ content: z.string().nullable() }), finish_reason: z.string() }))
          .optional(),
        usage: z
          .object({ prompt_tokens: z.number(), completion_tokens: z.number(), total_tokens: z.number() })
          .optional(),
        error: z.object({ message: z.string(), code: z.string().nullable(), param: z.string().nullable() }).optional(),
      }),
    })
    .nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
});
export type ResultLine = z.infer<typeof ResultLine>;

/** The unmodified `openai` package against a server. */
export function clientOf(url: string, apiKey = 'none'): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 2 });
}

export async function submit(
  client: OpenAI,
  content: string | Buffer,
  options: OpenAI.RequestOptions = {},
): Promise<string> {
  const file = await client.files.create({ file: await toFile(Buffer.from(content), 'in.jsonl'), purpose: 'batch' });
  const batch = await client.batches.create(
    {
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
      metadata: { test: 'yes' },
    },
    options,
  );
  expect(batch.status).toBe('validating');
  return batch.id;
}

export async function ended(client: OpenAI, id: string, withinMs = 180_000): Promise<OpenAI.Batches.Batch> {
  for (const end = Date.now() + withinMs; ; await sleep(50)) {
    const batch = await client.batches.retrieve(id);
    const { total = 0, completed = 0, failed = 0 } = batch.request_counts ?? {};
    expect(completed + failed).toBeLessThanOrEqual(total);
    if (['completed', 'failed', 'expired', 'cancelled'].includes(batch.status)) return batch;
    if (Date.now() > end) throw new Error(`still ${batch.status}, ${completed + failed} of ${total}`);
  }
}

export async function linesOf(client: OpenAI, fileId: string | null | undefined): Promise<ResultLine[]> {
  if (fileId == null) return [];
  const content = await (await client.files.content(fileId)).text();
  return content
    .trimEnd()
    .split('\n')
    .filter((l) => l !== '')
    .map((l) => ResultLine.parse(JSON.parse(l)));
}

/** All result lines of a batch by `custom_id`; fails unless there is exactly one per input line, in input order per file. */
export async function resultsOf(
  client: OpenAI,
  batch: OpenAI.Batches.Batch,
  input: Line[],
): Promise<Map<string, ResultLine>> {
  const output = await linesOf(client, batch.output_file_id);
  const errors = await linesOf(client, batch.error_file_id);
  const order = new Map(input.map((line, i) => [line.custom_id, i]));
  for (const file of [output, errors]) {
    const places = file.map((line) => order.get(line.custom_id) ?? -1);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
  }
  const all = [...output, ...errors];
  expect(all.map((line) => line.custom_id).toSorted()).toEqual(input.map((line) => line.custom_id).toSorted());
  expect(new Set(all.map((line) => line.id)).size).toBe(all.length);
  expect(batch.request_counts).toEqual({ total: input.length, completed: output.length, failed: errors.length });
  for (const line of output) expect(line.response?.status_code).toBe(200);
  return new Map(all.map((line) => [line.custom_id, line]));
}

/** The same PNG with other sides in its header (PNG §11.2.1): it claims to unpack to much more than it holds. */
function claiming(png: Buffer, side: number): Buffer {
  const bomb = Buffer.from(png);
  bomb.writeUInt32BE(side, 16);
  bomb.writeUInt32BE(side, 20);
  bomb.writeUInt32BE(crc32(bomb.subarray(12, 29)), 29);
  return bomb;
}

/** What users do, on whatever deployment `start` brings up. */
export function endToEnd(name: string, start: () => Promise<{ url: string; stop(): Promise<void> }>): void {
  describe(`end to end on ${name}`, () => {
    let server: Awaited<ReturnType<typeof start>>;
    let client: OpenAI;
    beforeAll(async () => {
      server = await start();
      client = clientOf(server.url);
    }, 600_000);
    afterAll(() => server?.stop());

    const png = (width: number, height: number) =>
      sharp({ create: { width, height, channels: 3, background: '#88aaff' } })
        .png()
        .toBuffer();

    test('text, pictures and sound in one batch, every line answered once, usage summed', async () => {
      const uploaded = await client.files.create({
        file: await toFile(await png(200, 100), 'picture.png'),
        purpose: 'vision',
      });
      const input = [
        chat('text-1', 'What is a batch?'),
        chat('image-1', [text('What is on it?'), image(await png(320, 240))]),
        chat('audio-1', [text('What is said?'), audio(wav(1.5))]),
        chat('text-2', [text('in'), text('parts')], { max_tokens: 1 }),
        chat('image-by-file', [{ type: 'image_url', image_url: { url: uploaded.id } }, text('And here?')]),
        chat('pixel', [text('One pixel'), image(await png(1, 1))]),
        chat('wide', [text('A long strip'), image(await png(30_000, 20))]),
        chat('json', 'Give me JSON.', {
          max_tokens: 200,
          response_format: {
            type: 'json_schema',
            json_schema: {
              name: 'answer',
              schema: {
                type: 'object',
                properties: { yes: { type: 'boolean' } },
                required: ['yes'],
                additionalProperties: false,
              },
            },
          },
        }),
      ];
      const batch = await ended(client, await submit(client, jsonl(input)));
      expect(batch).toMatchObject({
        status: 'completed',
        model: 'default',
        error_file_id: null,
        metadata: { test: 'yes' },
      });
      const results = await resultsOf(client, batch, input);
      let tokens = 0;
      for (const line of results.values()) {
        expect(line.response?.body.choices).toHaveLength(1);
        tokens += line.response?.body.usage?.total_tokens ?? 0;
      }
      expect(batch.usage?.total_tokens).toBe(tokens);
      const one = results.get('text-2')?.response?.body;
      expect(one?.usage?.completion_tokens).toBe(1);
      expect(one?.choices?.[0]?.finish_reason).toBe('length');
      const json: unknown = JSON.parse(results.get('json')?.response?.body.choices?.[0]?.message.content ?? '');
      expect(json).toEqual({ yes: expect.any(Boolean) });
      // A picture takes tokens: the prompt with it is longer than one without.
      const promptOf = (id: string) => results.get(id)?.response?.body.usage?.prompt_tokens ?? 0;
      expect(promptOf('image-1')).toBeGreaterThan(promptOf('text-1') + 40);
      expect(promptOf('audio-1')).toBeGreaterThan(promptOf('text-1') + 20);
    });

    test('the same item gives the same answer, alone or beside others', async () => {
      const same = Array.from({ length: 12 }, (_, i) => chat(`same-${i}`, 'Tell me the same thing.'));
      const batch = await ended(client, await submit(client, jsonl(same)));
      const results = await resultsOf(client, batch, same);
      const answers = new Set([...results.values()].map((l) => l.response?.body.choices?.[0]?.message.content));
      expect(answers.size).toBe(1);
    });

    test('a bad item costs its own line, with the reason, and nothing else', async () => {
      const noMedia = Buffer.from('this is no picture and no sound at all');
      const bad: [Line, { code: string | null; param?: string; words: RegExp }][] = [
        [
          chat('unknown-file', [{ type: 'image_url', image_url: { url: `file-${'0'.repeat(32)}` } }]),
          { code: 'file_not_found', words: /file/i },
        ],
        [
          chat('unsupported', 'hi', { frequency_penaltyy: 1 }),
          { code: 'unknown_parameter', param: 'frequency_penaltyy', words: /frequency_penaltyy/ },
        ],
        [
          chat('bad-value', 'hi', { temperature: 9 }),
          { code: 'invalid_value', param: 'temperature', words: /temperature/ },
        ],
        [
          chat('bad-role', 'hi', { messages: [{ role: 'king', content: 'x' }] }),
          { code: 'invalid_value', words: /role/ },
        ],
        [
          chat('no-messages', 'hi', { messages: undefined }),
          { code: 'missing_required_parameter', param: 'messages', words: /messages/ },
        ],
        [chat('no-image', [image(noMedia)]), { code: 'invalid_image', words: /image|picture/i }],
        [chat('no-audio', [audio(noMedia)]), { code: null, words: /audio|sound|recording/i }],
        [chat('empty-audio', [audio(wav(0))]), { code: 'invalid_audio', words: /audio|sound|recording/i }],
        [chat('bomb', [image(claiming(await png(1, 1), 30_000))]), { code: 'invalid_image', words: /pixels/i }],
        [
          chat('loopback', [{ type: 'image_url', image_url: { url: 'https://127.0.0.1/x.png' } }]),
          { code: 'url_not_allowed', words: /127\.0\.0\.1|not allowed/ },
        ],
        [
          chat('metadata', [{ type: 'image_url', image_url: { url: 'https://169.254.169.254/latest' } }]),
          { code: 'url_not_allowed', words: /169|not allowed/ },
        ],
        [
          chat('not-mine', [{ type: 'image_url', image_url: { url: 's3://elsewhere/x.png' } }]),
          { code: 'url_not_allowed', words: /s3/ },
        ],
        [chat('too-long', 'the quick brown fox '.repeat(9_000)), { code: 'context_length_exceeded', words: /tokens/ }],
      ];
      const input = bad.flatMap(([line], i) => [line, chat(`good-${i}`, `Question ${i}`)]);
      const batch = await ended(client, await submit(client, jsonl(input)));
      expect(batch.status).toBe('completed');
      const results = await resultsOf(client, batch, input);
      for (const [line, expected] of bad) {
        const result = results.get(line.custom_id);
        const error = result?.response?.body.error;
        expect(result?.error, line.custom_id).toBeNull();
        expect(result?.response?.status_code, `${line.custom_id}: ${error?.message}`).toBe(400);
        if (expected.code !== null) expect(error?.code, `${line.custom_id}: ${error?.message}`).toBe(expected.code);
        if (expected.param !== undefined) expect(error?.param, line.custom_id).toBe(expected.param);
        expect(error?.message, line.custom_id).toMatch(expected.words);
      }
      for (let i = 0; i < bad.length; i++) expect(results.get(`good-${i}`)?.response?.status_code).toBe(200);
    });

    test('a model that is not served is said per line, and all lines failed is still completed', async () => {
      const input = [chat('a', 'x', { model: 'gpt-9' }), chat('b', 'y', { model: 'gpt-9' })];
      const batch = await ended(client, await submit(client, jsonl(input)));
      expect(batch).toMatchObject({ status: 'completed', output_file_id: null, model: 'gpt-9' });
      const results = await resultsOf(client, batch, input);
      expect(results.get('a')?.response).toMatchObject({
        status_code: 404,
        body: { error: { code: 'model_not_found' } },
      });
    });

    test('a wrong file fails with each bad line named', async () => {
      const content = [
        JSON.stringify(chat('a', 'x')),
        '{"custom_id": "b", "method": "POST", "url"',
        JSON.stringify(chat('a', 'again')),
        JSON.stringify({ ...chat('c', 'x'), url: '/v1/embeddings' }),
      ].join('\n');
      const batch = await ended(client, await submit(client, content));
      expect(batch.status).toBe('failed');
      expect(batch.errors?.data?.map((e) => [e.line, e.code])).toEqual([
        [2, 'invalid_json_line'],
        [3, 'duplicate_custom_id'],
        [4, 'url_mismatch'],
      ]);
      const empty = await ended(client, await submit(client, '\n'));
      expect(empty.errors?.data).toMatchObject([{ code: 'empty_file' }]);
      const latin1 = await ended(
        client,
        await submit(client, Buffer.from('7b22637573746f6d5f6964223a22e9227d', 'hex')),
      );
      expect(latin1.errors?.data).toMatchObject([{ code: 'invalid_json_line', line: 1 }]);
    });

    test('a byte order mark, CRLF and a line of 10 MB are taken as they are', async () => {
      const big = chat('big', [
        text('x'),
        { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(10_000_000)}` } },
      ]);
      const input = [chat('a', 'x'), big, chat('b', 'y')];
      const content = `\ufeff${input.map((l) => JSON.stringify(l)).join('\r\n')}\r\n`;
      const batch = await ended(client, await submit(client, content));
      const results = await resultsOf(client, batch, input);
      expect(results.get('a')?.response?.status_code).toBe(200);
      expect(results.get('b')?.response?.status_code).toBe(200);
      expect(results.get('big')?.response?.body.error?.code).toBe('invalid_image');
    });

    test('cancelled in mid-batch: what was finished is delivered, the rest says so, nothing is doubled or lost', async () => {
      const input = Array.from({ length: 3_000 }, (_, i) => chat(`c-${i}`, `Count to ${i}.`, { max_tokens: 40 }));
      const id = await submit(client, jsonl(input));
      while (((await client.batches.retrieve(id)).request_counts?.completed ?? 0) === 0) await sleep(50);
      expect((await client.batches.cancel(id)).status).toBe('cancelling');
      const start = Date.now();
      const batch = await ended(client, id);
      expect(Date.now() - start).toBeLessThan(20_000);
      expect(batch.status).toBe('cancelled');
      const results = [...(await resultsOf(client, batch, input)).values()];
      const cancelled = results.filter((l) => l.error?.code === 'batch_cancelled');
      expect(cancelled.length).toBeGreaterThan(0);
      expect(cancelled.length + results.filter((l) => l.response?.status_code === 200).length).toBe(input.length);
      await expect(client.batches.cancel(id)).rejects.toMatchObject({ status: 409 });
    });

    test('on the command line: results so far, the failed lines again, and the batch deleted', async () => {
      const input = [
        chat('ok', 'x', { max_tokens: 2 }),
        chat('bad', 'x', { temperature: 9 }),
        chat('bad-2', 'x', { n: 0 }),
      ];
      const id = await submit(client, jsonl(input));
      await ended(client, id);
      const command = async (...args: string[]) =>
        (
          await run(process.execPath, [CLI, ...args, '--url', server.url], {
            env: { ...process.env, LOG_LEVEL: 'warn' },
          })
        ).stdout;
      const found = (await command('results', id)).trimEnd().split('\n');
      expect(found.map((line) => ResultLine.parse(JSON.parse(line)).custom_id)).toEqual(['ok', 'bad', 'bad-2']);
      const again = (await command('retry', id, '--only', 'failed')).trim();
      expect(again).toMatch(/^batch_[0-9a-f]{32}$/);
      const batch = await ended(client, again);
      expect(batch).toMatchObject({ retry_of: id, status: 'completed', request_counts: { total: 2, failed: 2 } });
      expect((await linesOf(client, batch.error_file_id)).map((line) => line.custom_id)).toEqual(['bad', 'bad-2']);
      await expect(command('retry', id, '--only', 'expired')).rejects.toThrow(/nothing to retry/);
      await command('delete', id);
      await expect(client.batches.retrieve(id)).rejects.toMatchObject({ status: 404 });
      await expect(client.files.retrieve(batch.error_file_id ?? '')).resolves.toMatchObject({
        purpose: 'batch_output',
      });
    });

    test('files and batches are listed, fetched by range and deleted', async () => {
      const file = await client.files.create({
        file: await toFile(Buffer.from('0123456789'), 'ten.txt'),
        purpose: 'user_data',
      });
      expect(await client.files.retrieve(file.id)).toMatchObject({
        bytes: 10,
        filename: 'ten.txt',
        purpose: 'user_data',
      });
      const part = await fetch(`${server.url}/v1/files/${file.id}/content`, { headers: { range: 'bytes=3-5' } });
      expect([part.status, await part.text()]).toEqual([206, '345']);
      expect((await client.files.list({ limit: 1 })).data[0]?.id).toBe(file.id);
      expect(await client.files.delete(file.id)).toMatchObject({ deleted: true });
      await expect(client.files.retrieve(file.id)).rejects.toMatchObject({ status: 404 });
      const ids: string[] = [];
      for await (const batch of client.batches.list({ limit: 2 })) ids.push(batch.id);
      expect(ids.length).toBeGreaterThanOrEqual(6);
      expect(ids).toEqual(ids.toSorted().toReversed());
    });
  });
}
