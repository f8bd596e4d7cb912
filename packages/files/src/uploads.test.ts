import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Bucket, layout, openBucket } from '@batchmill/bucket';
import type { UploadObject } from '@batchmill/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deleteFile, listFiles, readFile } from './files.ts';
import { sweepFiles } from './sweep.ts';
import { UPLOAD_LIMITS } from './upload.ts';
import { addPart, cancelUpload, completeUpload, createUpload } from './uploads.ts';

const TENANT = 'tenant';
let folder: string;
let bucket: Bucket;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-uploads-'));
  bucket = await openBucket(pathToFileURL(folder).href);
});
afterAll(async () => {
  await bucket.close();
  await rm(folder, { recursive: true });
});

function start(size: number, details: Partial<Parameters<typeof createUpload>[2]> = {}): Promise<UploadObject> {
  const input = { bytes: size, filename: 'a.jsonl', mime_type: 'text/jsonl', purpose: 'batch', ...details } as const;
  return createUpload(bucket, TENANT, input);
}

async function* bytes(content: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(content);
}

async function add(upload: UploadObject, content: string): Promise<string> {
  const part = await addPart(bucket, TENANT, upload.id, bytes(content));
  return part?.id ?? '';
}

async function content(id: string): Promise<string> {
  let all = '';
  for await (const chunk of (await readFile(bucket, TENANT, id)) ?? []) all += Buffer.from(chunk).toString();
  return all;
}

async function objects(upload: UploadObject): Promise<string[]> {
  const prefix = layout.upload.objects(TENANT, upload.id);
  const found: string[] = [];
  for await (const { key } of bucket.list(prefix)) found.push(key.slice(prefix.length).replace(/part_.*/, 'part'));
  return found;
}

/** Moves an upload's hour back, as if it had been created that long ago. */
async function age(upload: UploadObject, seconds: number): Promise<void> {
  const key = layout.upload.upload(TENANT, upload.id);
  const record = JSON.parse(Buffer.from((await bucket.get(key)) ?? []).toString());
  await bucket.put(key, JSON.stringify({ ...record, expires_at: record.expires_at - seconds }));
}

describe('an upload', () => {
  test('joins parts sent in parallel in the order of part_ids', async () => {
    const upload = await start(9);
    expect(upload).toMatchObject({ object: 'upload', status: 'pending', bytes: 9, purpose: 'batch' });
    expect(upload.expires_at).toBe(upload.created_at + 3600);
    const parts = await Promise.all(['ghi', 'abc', 'def'].map((part) => add(upload, part)));
    const part_ids = [parts[1] ?? '', parts[2] ?? '', parts[0] ?? ''];
    const md5 = createHash('md5').update('abcdefghi').digest('hex').toUpperCase();
    const done = await completeUpload(bucket, TENANT, upload.id, { part_ids, md5 });
    expect(done).toMatchObject({ status: 'completed', file: { bytes: 9, filename: 'a.jsonl', purpose: 'batch' } });
    expect(await content(done?.file?.id ?? '')).toBe('abcdefghi');
    expect(done?.file?.expires_at).toBe((done?.file?.created_at ?? 0) + 30 * 86_400);
    expect(await objects(upload)).toEqual(['ended.json', 'upload.json']);
  });

  test('keeps the expiry asked for', async () => {
    const upload = await start(1, { expires_after: { anchor: 'created_at', seconds: 7200 } });
    const done = await completeUpload(bucket, TENANT, upload.id, { part_ids: [await add(upload, 'a')] });
    expect(done?.file?.expires_at).toBe((done?.file?.created_at ?? 0) + 7200);
  });

  test('completes once, however many calls race, and answers all of them alike', async () => {
    const upload = await start(6);
    const part_ids = [await add(upload, 'abc'), await add(upload, 'def')];
    const calls = Array.from({ length: 6 }, () => completeUpload(bucket, TENANT, upload.id, { part_ids }));
    const ids = new Set((await Promise.all(calls)).map((done) => done?.file?.id));
    expect(ids.size).toBe(1);
    const again = await completeUpload(bucket, TENANT, upload.id, { part_ids });
    expect(ids.has(again?.file?.id)).toBe(true);
    const listed = await listFiles(bucket, TENANT, { limit: 100, order: 'desc' });
    expect(listed.data.filter((file) => ids.has(file.id))).toHaveLength(1);
    // The calls that came second have cleaned up what they joined.
    const contents: string[] = [];
    for await (const { key } of bucket.list(`files/${TENANT}/`)) if (key.endsWith('/content')) contents.push(key);
    expect(contents).toHaveLength(listed.data.length);
    await expect(completeUpload(bucket, TENANT, upload.id, { part_ids: part_ids.toReversed() })).rejects.toMatchObject({
      status: 400,
      code: 'upload_completed',
    });
  });

  test('publishes the file on a repeated call if the first one died before that', async () => {
    const upload = await start(3);
    const part_ids = [await add(upload, 'abc')];
    const done = await completeUpload(bucket, TENANT, upload.id, { part_ids });
    const id = done?.file?.id ?? '';
    await bucket.delete(layout.file.meta(TENANT, id));
    await bucket.delete(layout.file.index(TENANT, id));
    expect((await completeUpload(bucket, TENANT, upload.id, { part_ids }))?.file).toEqual(done?.file);
    expect(await content(id)).toBe('abc');
    await deleteFile(bucket, TENANT, id);
    expect((await completeUpload(bucket, TENANT, upload.id, { part_ids }))?.file).toBeNull();
  });

  test('is either completed or cancelled when both race', async () => {
    for (let round = 0; round < 10; round++) {
      const upload = await start(3);
      const part_ids = [await add(upload, 'abc')];
      const [completed, cancelled] = await Promise.allSettled([
        completeUpload(bucket, TENANT, upload.id, { part_ids }),
        cancelUpload(bucket, TENANT, upload.id),
      ]);
      expect([completed.status, cancelled.status].sort()).toEqual(['fulfilled', 'rejected']);
    }
  });
});

describe('refused with a reason', () => {
  test('sums, hashes and parts that do not fit, leaving the upload usable', async () => {
    const upload = await start(6);
    const [a, b] = [await add(upload, 'abc'), await add(upload, 'def')];
    const complete = (part_ids: string[], md5?: string) =>
      completeUpload(bucket, TENANT, upload.id, { part_ids, ...(md5 === undefined ? {} : { md5 }) });
    await expect(complete([a])).rejects.toMatchObject({
      status: 400,
      message: expect.stringMatching(/3 bytes in all.*created for 6/),
    });
    await expect(complete([a, a])).rejects.toMatchObject({
      status: 400,
      message: expect.stringMatching(/named twice/),
    });
    await expect(complete([a, 'part_x'])).rejects.toMatchObject({ status: 400, param: 'part_ids' });
    await expect(complete([a, '../ended.json'])).rejects.toMatchObject({ status: 400, param: 'part_ids' });
    await expect(complete([a, b], '0'.repeat(32))).rejects.toMatchObject({ status: 400, param: 'md5' });
    expect((await complete([a, b]))?.status).toBe('completed');
  });

  test('what is too large', async () => {
    await expect(start(UPLOAD_LIMITS.maxBytes + 1)).rejects.toMatchObject({ status: 400, param: 'bytes' });
    const upload = await start(10);
    const limits = { maxBytes: 5, maxPartBytes: 4, maxParts: 3 };
    const part = (text: string) => addPart(bucket, TENANT, upload.id, bytes(text), { limits });
    await expect(part('12345')).rejects.toMatchObject({ status: 413 });
    await part('1234');
    await expect(part('56')).rejects.toMatchObject({ status: 413 });
    await part('5');
    await expect(part('6')).rejects.toMatchObject({ status: 400, code: 'upload_full' });
    expect(await objects(upload)).toEqual(['parts/part', 'parts/part', 'upload.json']);
  });

  test('everything on an upload that is cancelled', async () => {
    const upload = await start(3);
    const part = await add(upload, 'abc');
    expect((await cancelUpload(bucket, TENANT, upload.id))?.status).toBe('cancelled');
    expect((await cancelUpload(bucket, TENANT, upload.id))?.status).toBe('cancelled');
    expect(await objects(upload)).toEqual(['ended.json', 'upload.json']);
    const gone = { status: 400, code: 'upload_cancelled' };
    await expect(add(upload, 'abc')).rejects.toMatchObject(gone);
    await expect(completeUpload(bucket, TENANT, upload.id, { part_ids: [part] })).rejects.toMatchObject(gone);
  });

  test('everything on an upload whose hour is over', async () => {
    const upload = await start(3);
    const part = await add(upload, 'abc');
    await age(upload, 3601);
    const gone = { status: 400, code: 'upload_expired' };
    await expect(add(upload, 'abc')).rejects.toMatchObject(gone);
    await expect(cancelUpload(bucket, TENANT, upload.id)).rejects.toMatchObject(gone);
    await expect(completeUpload(bucket, TENANT, upload.id, { part_ids: [part] })).rejects.toMatchObject(gone);
    expect((await sweepFiles(bucket)).uploadObjects).toBe(0);
    expect((await sweepFiles(bucket, Date.now() + 86_500_000)).uploadObjects).toBeGreaterThanOrEqual(2);
    expect(await objects(upload)).toEqual([]);
  });

  test('a part that arrives after the end, which is removed again', async () => {
    const upload = await start(3);
    const first = await add(upload, 'abc');
    async function* slow() {
      yield Buffer.from('d');
      await completeUpload(bucket, TENANT, upload.id, { part_ids: [first] });
      yield Buffer.from('e');
    }
    const late = addPart(bucket, TENANT, upload.id, slow());
    await expect(late).rejects.toMatchObject({ status: 400, code: 'upload_completed' });
    expect(await objects(upload)).toEqual(['ended.json', 'upload.json']);
  });

  test("other tenants' uploads and what is no id: they do not exist", async () => {
    const upload = await start(3);
    for (const [tenant, id] of [
      ['other', upload.id],
      [TENANT, 'upload_x'],
      [TENANT, '../../keys'],
    ] as const) {
      expect(await addPart(bucket, tenant, id, bytes('abc'))).toBeNull();
      expect(await completeUpload(bucket, tenant, id, { part_ids: ['part_x'] })).toBeNull();
      expect(await cancelUpload(bucket, tenant, id)).toBeNull();
    }
  });
});
