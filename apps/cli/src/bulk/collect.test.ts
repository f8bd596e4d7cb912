import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type ApiServer, serve } from '@batchmill/api';
import { type Bucket, openBucket } from '@batchmill/bucket';
import { createLogger } from '@batchmill/telemetry';
import type OpenAI from 'openai';
import { toFile } from 'openai';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createClient } from '../client.ts';
import type { Batch } from './batch.ts';
import { collect } from './collect.ts';
import { ocrJob } from './ocr-job.ts';
import { report } from './report.ts';
import { StateFile } from './state.ts';

/** Result files as a service has them, at a real API; no model is needed to read them. */
let folder: string;
let out: string;
let bucket: Bucket;
let api: ApiServer;
let client: OpenAI;
let file: StateFile;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-collect-'));
  out = join(folder, 'out');
  bucket = await openBucket(pathToFileURL(join(folder, 'bucket')).href);
  api = await serve({
    batch: { bucket, trigger: async () => {} },
    logger: createLogger('test'),
    port: 0,
    models: ['default'],
    checks: {},
  });
  client = createClient({ url: api.url });
  file = await StateFile.open(out, 'ocr', '/scans');
});
afterEach(async () => {
  process.exitCode = undefined;
  await file.close();
  await api.close();
  await bucket.close();
  await rm(folder, { recursive: true, force: true });
});

const page = (index: number, markdown: string, over: object = {}) => ({ index, markdown, ...over });
const answered = (id: string, pages: object[]) => ({
  custom_id: id,
  response: { status_code: 200, body: { pages } },
  error: null,
});
const PARAM = 'document.file_id';
const failed = (id: string, code: string, message: string) => ({
  custom_id: id,
  response: { status_code: 400, body: { error: { message, code, type: 'invalid_request_error', param: PARAM } } },
  error: null,
});

async function ended(output: object[], errors: object[], over: Partial<Batch> = {}): Promise<Batch> {
  const put = async (lines: object[]) => {
    if (lines.length === 0) return null;
    const content = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    return (await client.files.create({ file: await toFile(content, 'x.jsonl'), purpose: 'batch' })).id;
  };
  return {
    id: 'batch_1',
    status: 'completed',
    created_at: 0,
    input_file_id: 'file-1',
    output_file_id: await put(output),
    error_file_id: await put(errors),
    request_counts: { total: 0, completed: 0, failed: 0 },
    errors: null,
    ...over,
  };
}

function send(paths: string[], version = '1'): void {
  for (const path of paths) {
    const name = path.replace(/\.pdf$/, '');
    file.state.sources[path] = { ...(file.state.sources[path] ?? { name }), sent: { version, options: 'o' } };
  }
}
const job = (pages = false) => ocrJob({ format: 'md', pages, model: 'default' });

test('answers become files, and what has none is a failure with its reason', async () => {
  send(['a.pdf', 'sub/b.pdf', 'c.pdf', 'd.pdf', 'e.pdf']);
  // A line separator that is no line break in JSON.
  const separators = 'one\u2028two\u2029three';
  const batch = await ended(
    [
      answered('sub/b.pdf', [page(0, separators)]),
      answered('a.pdf', [page(0, 'first'), page(1, '', { error: { code: 'invalid_page', message: 'no picture' } })]),
      answered('not-ours.pdf', [page(0, 'x')]),
      { custom_id: 'e.pdf', response: { status_code: 200, body: { what: 'is this' } }, error: null },
    ],
    [
      failed('c.pdf', 'encrypted_document', `${PARAM}: It needs a password.`),
      { custom_id: 'd.pdf', response: null, error: { code: 'batch_expired', message: 'x' } },
    ],
  );
  await collect(client, batch, job(), file);
  expect(await readFile(join(out, 'sub', 'b.md'), 'utf8')).toBe(`${separators}\n`);
  expect(await readFile(join(out, 'a.md'), 'utf8')).toBe('<!-- page 1 -->\n\nfirst\n\n<!-- page 2: no picture -->\n');
  const results = Object.entries(file.state.sources).map(([path, { result }]) => [path, result?.problems[0]?.code]);
  expect(file.state.sources['c.pdf']?.result?.problems[0]?.message).toBe('It needs a password.');
  expect(results).toEqual([
    ['a.pdf', 'invalid_page'],
    ['sub/b.pdf', undefined],
    ['c.pdf', 'encrypted_document'],
    ['d.pdf', 'batch_expired'],
    ['e.pdf', 'unexpected_answer'],
  ]);
  expect(await file.isDone('a.pdf', '1', 'o')).toBe(true);
  expect(await file.isDone('c.pdf', '1', 'o')).toBe(false);

  const sources = Object.keys(file.state.sources).map((path) => ({
    path,
    bytes: 1,
    version: '1',
    at: { url: 's3://b/k' },
  }));
  await report(file, { root: '/scans', sources, skipped: [] }, 'out');
  const lines = (await readFile(join(out, 'failures.jsonl'), 'utf8')).trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toContainEqual({
    file: 'a.pdf',
    at: 'page 2',
    code: 'invalid_page',
    message: 'no picture',
  });
  expect(lines).toHaveLength(4);
  expect(process.exitCode).toBe(1);
});

test('again with fewer pages: those that are no more go; where it fails, what was there stays', async () => {
  send(['a.pdf']);
  await collect(
    client,
    await ended([answered('a.pdf', [page(0, '1'), page(1, '2'), page(2, '3')])], []),
    job(true),
    file,
  );
  expect(await readdir(join(out, 'a.pages'))).toEqual(['0001.md', '0002.md', '0003.md']);
  send(['a.pdf'], '2');
  const shorter = await ended([answered('a.pdf', [page(0, 'new')])], []);
  await collect(client, shorter, job(true), file);
  // As after a crash before the state was written.
  await collect(client, shorter, job(true), file);
  expect(await readdir(join(out, 'a.pages'))).toEqual(['0001.md']);
  send(['a.pdf'], '3');
  await collect(client, await ended([], [failed('a.pdf', 'invalid_document', 'damaged')]), job(true), file);
  expect(await readFile(join(out, 'a.pages', '0001.md'), 'utf8')).toBe('new\n');
  expect(file.state.sources['a.pdf']?.result).toMatchObject({ failed: true, outputs: ['a.pages/0001.md'] });
});

test('a name in the way costs its own source', async () => {
  send(['a.pdf', 'b.pdf']);
  await mkdir(join(out, 'a.md'), { recursive: true });
  await writeFile(join(out, 'a.md', 'somebody’s'), '');
  await collect(
    client,
    await ended([answered('a.pdf', [page(0, 'a')]), answered('b.pdf', [page(0, 'b')])], []),
    job(),
    file,
  );
  expect(file.state.sources['a.pdf']?.result?.problems[0]?.code).toBe('output_not_written');
  expect(await readFile(join(out, 'b.md'), 'utf8')).toBe('b\n');
});

test('a batch that failed as a whole gives its reason to every source', async () => {
  send(['a.pdf', 'b.pdf']);
  const errors = { data: [{ code: 'too_many_tasks', line: null, message: 'At most 1 line.' }] };
  await collect(client, await ended([], [], { status: 'failed', errors }), job(), file);
  for (const path of ['a.pdf', 'b.pdf'])
    expect(file.state.sources[path]?.result?.problems).toEqual([
      { code: 'too_many_tasks', message: 'At most 1 line.' },
    ]);
});
