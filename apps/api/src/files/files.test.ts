import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createFile } from '@batchmill/files';
import { createKey } from '@batchmill/keys';
import type OpenAI from 'openai';
import { APIError, toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { finishBatch, startTestServer, type TestServer } from '../test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

const LINE = '{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{}}\n';

async function failure(promise: Promise<unknown>): Promise<APIError> {
  const error = await promise.then(() => null).catch((e: unknown) => e);
  if (error instanceof APIError) return error;
  throw new Error(`expected an APIError, got ${error}`);
}

describe('with the openai SDK', () => {
  test('a file goes up, is described, listed, downloaded and deleted', async () => {
    const { files } = server.client();
    const file = await files.create({ file: await toFile(Buffer.from(LINE), 'input.jsonl'), purpose: 'batch' });
    expect(file).toMatchObject({ object: 'file', bytes: LINE.length, filename: 'input.jsonl', purpose: 'batch' });
    expect(file.expires_at).toBe(file.created_at + 30 * 86_400);
    expect(await files.retrieve(file.id)).toEqual(file);
    expect((await files.list()).data).toContainEqual(file);
    const response = await files.content(file.id);
    expect(await response.text()).toBe(LINE);
    expect(response.headers.get('content-disposition')).toContain('filename="input.jsonl"');
    expect(await files.delete(file.id)).toEqual({ id: file.id, object: 'file', deleted: true });
    const gone = await failure(files.retrieve(file.id));
    expect(gone.status).toBe(404);
    expect(gone.message).toContain(`No such File object: ${file.id}`);
  });

  test('a stream with an expiry and a name in any script', async () => {
    const path = join(server.folder, 'größe 漢字 "x".jsonl');
    await writeFile(path, LINE.repeat(20_000));
    const { files } = server.client();
    const expires_after = { anchor: 'created_at', seconds: 7200 } as const;
    const file = await files.create({ file: createReadStream(path), purpose: 'user_data', expires_after });
    expect(file).toMatchObject({ bytes: LINE.length * 20_000, expires_at: file.created_at + 7200 });
    const disposition = (await files.content(file.id)).headers.get('content-disposition') ?? '';
    expect(decodeURIComponent(disposition)).toContain(`filename*=UTF-8''${file.filename}`);
    expect(file.filename).toContain('größe 漢字');
  });

  test('lists page by page, in both orders and by purpose', async () => {
    const own = await startTestServer();
    try {
      const { files } = own.client();
      const made: string[] = [];
      for (let i = 0; i < 7; i++) {
        const purpose = i % 2 === 0 ? 'batch' : 'user_data';
        made.push((await files.create({ file: await toFile(Buffer.from('x'), 'x'), purpose })).id);
        // Ids made within one millisecond have no order.
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      const all = async (query: OpenAI.FileListParams) => {
        const ids: string[] = [];
        for await (const file of files.list(query)) ids.push(file.id);
        return ids;
      };
      expect(await all({ limit: 2 })).toEqual(made.toReversed());
      expect(await all({ limit: 3, order: 'asc' })).toEqual(made);
      expect(await all({ limit: 1, purpose: 'user_data' })).toEqual([made[5], made[3], made[1]]);
    } finally {
      await own.stop();
    }
  });

  test('a wrong purpose and a wrong expiry are refused by name, and leave nothing', async () => {
    const before = await server.keys();
    const { files } = server.client();
    const file = await toFile(Buffer.from('x'), 'x');
    const wrong: [Record<string, unknown>, string, RegExp][] = [
      [{ purpose: 'batch_output' }, 'purpose', /purpose/],
      [{ purpose: 'nonsense' }, 'purpose', /purpose/],
      [{ purpose: 'batch', expires_after: { anchor: 'created_at', seconds: 10 } }, 'expires_after.seconds', /3600/],
      [{ purpose: 'batch', expires_after: { anchor: 'now', seconds: 7200 } }, 'expires_after.anchor', /created_at/],
      [{ purpose: 'batch', other: 'x' }, 'other', /Unknown parameter/],
    ];
    for (const [fields, param, message] of wrong) {
      const error = await failure(files.create({ file, purpose: 'batch', ...fields }));
      expect(error).toMatchObject({ status: 400, param, type: 'invalid_request_error' });
      expect(error.message).toMatch(message);
      expect(error.requestID).toMatch(/^req_[0-9a-f]{32}$/);
    }
    expect(await server.keys()).toEqual(before);
  });
});

describe('lists refuse what they do not know', () => {
  test.each([
    ['limit=0', 'limit'],
    ['limit=10001', 'limit'],
    ['limit=1e3', 'limit'],
    ['limit=', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['order=up', 'order'],
    ['purpose=what', 'purpose'],
    ['after=../../keys', 'after'],
    ['after=', 'after'],
    ['before=file-1', 'before'],
  ])('?%s', async (query, param) => {
    const response = await fetch(`${server.url}/v1/files?${query}`);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param, type: 'invalid_request_error' } });
  });
});

test("another tenant's file does not exist", async () => {
  const keyed = await startTestServer();
  try {
    const mine = await createKey(keyed.bucket, { tenant: 'mine', name: 'a' });
    const theirs = await createKey(keyed.bucket, { tenant: 'theirs', name: 'b' });
    // The server looked for keys before there were any, if at all: its answer may be remembered for five seconds.
    const source = (async function* () {
      yield Buffer.from('secret');
    })();
    const file = await createFile(keyed.bucket, 'theirs', { filename: 'x', purpose: 'batch', source });
    expect((await keyed.client(theirs.key).files.retrieve(file.id)).id).toBe(file.id);
    const { files } = keyed.client(mine.key);
    const unknown = `file-${'0'.repeat(32)}`;
    const blank = (error: APIError) => ({ ...error, headers: null, requestID: null, message: error.message });
    for (const call of [files.retrieve, files.content, files.delete].map((method) => method.bind(files))) {
      const denied = await failure(call(file.id));
      const missing = await failure(call(unknown));
      expect(denied.status).toBe(404);
      expect(JSON.stringify(blank(denied)).replaceAll(file.id, 'ID')).toBe(
        JSON.stringify(blank(missing)).replaceAll(unknown, 'ID'),
      );
    }
    expect((await files.list()).data).toEqual([]);
    expect((await keyed.client(theirs.key).files.list()).data).toHaveLength(1);
  } finally {
    await keyed.stop();
  }
});

test('files and results live no longer than the operator lets them, whatever is asked', async () => {
  const own = await startTestServer({ retention: () => ({ batches: null, results: 2, files: 1 }) });
  const DAY = 86_400;
  try {
    const { files, batches, uploads } = own.client();
    const asked = { anchor: 'created_at', seconds: 5 * DAY } as const;
    const source = () => toFile(Buffer.from(LINE), 'a.jsonl');
    for (const more of [{}, { expires_after: asked }]) {
      const file = await files.create({ file: await source(), purpose: 'batch', ...more });
      expect(file.expires_at).toBe(file.created_at + DAY);
    }
    const short = { anchor: 'created_at', seconds: 3_600 } as const;
    const soon = await files.create({ file: await source(), purpose: 'user_data', expires_after: short });
    expect(soon.expires_at).toBe(soon.created_at + 3_600);
    const upload = await uploads.create({ bytes: 3, filename: 'a', mime_type: 'a/b', purpose: 'user_data' });
    const part = await uploads.parts.create(upload.id, { data: await toFile(Buffer.from('abc'), 'a') });
    const { file } = await uploads.complete(upload.id, { part_ids: [part.id] });
    expect(file?.expires_at).toBe((file?.created_at ?? 0) + DAY);
    const { output_file_id: output } = await batches.retrieve(await finishBatch(own, ['a']));
    const made = await files.retrieve(output ?? '');
    expect(Math.abs((made.expires_at ?? 0) - made.created_at - 2 * DAY)).toBeLessThan(60);
  } finally {
    await own.stop();
  }
});
