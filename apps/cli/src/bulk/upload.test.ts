import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type ApiServer, serve } from '@batchmill/api';
import { type Bucket, openBucket } from '@batchmill/bucket';
import { createLogger } from '@batchmill/telemetry';
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClient } from '../client.ts';
import { createProgress } from '../progress.ts';
import { findSources } from './sources.ts';
import { StateFile } from './state.ts';
import { customId, inParallel, uploadFile } from './upload.ts';
import { uploadSources } from './upload-sources.ts';

let folder: string;
let bucket: Bucket;
let api: ApiServer;
let client: OpenAI;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-upload-'));
  bucket = await openBucket(pathToFileURL(join(folder, 'bucket')).href);
  api = await serve({
    batch: { bucket, trigger: async () => {} },
    logger: createLogger('test'),
    port: 0,
    models: ['default'],
    limits: { fileBytes: 1_000 },
    checks: {},
  });
  client = createClient({ url: api.url });
});
afterAll(async () => {
  await api.close();
  await bucket.close();
  await rm(folder, { recursive: true, force: true });
});

const options = () => ({ seconds: 86_400, signal: new AbortController().signal });
const content = async (id: string) => Buffer.from(await (await client.files.content(id)).arrayBuffer());

describe('uploadFile', () => {
  test.for([1, 999, 1_000, 1_001, 4_321])('%i bytes arrive as they are, in parts if need be', async (bytes) => {
    const data = randomBytes(bytes);
    const path = join(folder, 'a file\n.pdf');
    await writeFile(path, data);
    const id = await uploadFile(client, path, { ...options(), partBytes: 1_000 });
    expect((await content(id)).equals(data)).toBe(true);
    const file = await client.files.retrieve(id);
    expect(file).toMatchObject({ bytes, filename: 'a file_.pdf', purpose: 'user_data' });
    expect(file.expires_at).toBe(file.created_at + 86_400);
  });
});

test('sources are uploaded once, again if they change, and one that cannot be sent does not hold up the others', async () => {
  const scans = join(folder, 'scans');
  const out = join(folder, 'out');
  await rm(scans, { recursive: true, force: true });
  await mkdir(scans);
  for (const name of ['a.pdf', 'b.pdf', 'gone.pdf']) await writeFile(join(scans, name), name);
  // The service of this test takes 1,000 bytes.
  await writeFile(join(scans, 'large.pdf'), randomBytes(2_000));
  const find = () => findSources(scans, { extensions: new Set(['pdf']), called: 'documents', except: out });
  const file = await StateFile.open(out, 'ocr', scans);
  const { sources } = await find();
  for (const { path } of sources) file.state.sources[path] = { name: path };
  await rm(join(scans, 'gone.pdf'));
  const send = async (which: typeof sources) =>
    uploadSources(client, file, which, {
      ...options(),
      seconds: 20 * 86_400,
      progress: createProgress(),
      options: 'o',
    });
  const places = await send(sources);
  expect([...places.keys()].toSorted()).toEqual(['a.pdf', 'b.pdf']);
  expect(file.state.sources['gone.pdf']?.result).toMatchObject({
    failed: true,
    problems: [{ code: 'unreadable_file' }],
  });
  expect(file.state.sources['large.pdf']?.result?.problems[0]?.message).toMatch(/does not take it: /);

  const again = await send(sources);
  expect(again.get('a.pdf')).toEqual(places.get('a.pdf'));
  await writeFile(join(scans, 'a.pdf'), 'changed');
  const b = file.state.sources['b.pdf']?.upload?.fileId ?? '';
  await client.files.delete(b);
  const later = await send((await find()).sources);
  expect(later.get('a.pdf')).not.toEqual(places.get('a.pdf'));
  expect(later.get('b.pdf')).not.toEqual(places.get('b.pdf'));
  await file.close();
});

test('inParallel keeps to its number, and begins nothing after a failure', async () => {
  let [running, most, begun] = [0, 0, 0];
  const work = async (i: number) => {
    begun++;
    most = Math.max(most, ++running);
    await new Promise((done) => setImmediate(done));
    running--;
    if (i === 7) throw new Error('seven');
  };
  await inParallel([0, 1, 2, 3, 4, 5], 3, work);
  expect([begun, most]).toEqual([6, 3]);
  await expect(inParallel([...Array(100).keys()], 3, work)).rejects.toThrow('seven');
  await new Promise((done) => setTimeout(done, 20));
  expect(begun).toBeLessThan(20);
});

test('custom ids are paths, as long as they may be that long', () => {
  expect(customId('a/b.pdf')).toBe('a/b.pdf');
  expect(customId('x'.repeat(513))).toMatch(/^sha256-[0-9a-f]{64}$/);
});
