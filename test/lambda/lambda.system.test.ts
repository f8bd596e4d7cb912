import { openBucket } from '@batchmill/bucket';
import { createKey } from '@batchmill/keys';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { type S3Server, startS3 } from '../servers/s3.ts';
import { EVENT_SHAPES, FUNCTION_URL } from './events.ts';
import { LambdaFunction, type LambdaResult } from './function.ts';

/** The API as a Lambda function: each shape of event, against a real queue and an S3 server. */
let redis: RedisServer;
let s3: S3Server;
let key: string;
const environment = () => ({ QUEUE_URL: redis.url, BUCKET_URL: s3.url, ...s3.env });

beforeAll(async () => {
  [redis, s3] = await Promise.all([startRedis(), startS3()]);
  Object.assign(process.env, s3.env);
  const bucket = await openBucket(s3.url);
  ({ key } = await createKey(bucket, { name: 'lambda', tenant: 'acme' }));
  await bucket.close();
});
afterAll(async () => {
  await Promise.all([redis?.stop(), s3?.stop()]);
});

const json = (result: LambdaResult) => JSON.parse(result.body.toString());

/** A form as its bytes and content type. */
async function form(fields: Record<string, string>, file: { name: string; content: Uint8Array }) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.set(name, value);
  data.set(file.name, new Blob([Buffer.from(file.content)]), 'input.jsonl');
  const response = new Response(data);
  return {
    headers: { 'content-type': response.headers.get('content-type') ?? '' },
    body: new Uint8Array(await response.arrayBuffer()),
  };
}

const LINE = `${JSON.stringify({
  custom_id: 'größe',
  method: 'POST',
  url: '/v1/chat/completions',
  body: { model: 'default', messages: [{ role: 'user', content: 'Hello' }] },
})}\n`;

const WAYS = [
  ...EVENT_SHAPES.map((shape) => ({ shape, module: 'apps/api/lambda.mjs' })),
  { shape: FUNCTION_URL, module: 'apps/api/lambda-streaming.mjs' },
];

describe.each(WAYS)('asked by a $shape.name', ({ shape, module }) => {
  let fn: LambdaFunction;
  const authorized = (headers: Record<string, string> = {}) => ({ authorization: `Bearer ${key}`, ...headers });
  beforeAll(async () => {
    fn = await LambdaFunction.start(module, shape, environment());
  });
  afterAll(() => fn.stop());

  test('files go in and come out byte for byte, batches are made and listed', async () => {
    const content = Buffer.concat([Buffer.from(LINE)]);
    const upload = await form({ purpose: 'batch' }, { name: 'file', content });
    const created = await fn.ask({
      method: 'POST',
      path: '/v1/files',
      headers: authorized(upload.headers),
      body: upload.body,
    });
    expect(json(created)).toMatchObject({ object: 'file', bytes: content.length, filename: 'input.jsonl' });
    expect(created.headers.get('x-request-id')).toMatch(/^req_/);
    const { id } = json(created);
    const back = await fn.ask({ method: 'GET', path: `/v1/files/${id}/content`, headers: authorized() });
    expect(back.status).toBe(200);
    expect(back.body.equals(content)).toBe(true);
    const batch = await fn.ask({
      method: 'POST',
      path: '/v1/batches',
      headers: authorized({ 'content-type': 'application/json' }),
      body: Buffer.from(
        JSON.stringify({ input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' }),
      ),
    });
    expect(json(batch)).toMatchObject({ object: 'batch', status: 'validating', input_file_id: id });
    const listed = await fn.ask({ method: 'GET', path: '/v1/batches?limit=1', headers: authorized() });
    expect(json(listed)).toMatchObject({ data: [{ id: json(batch).id }] });
  });

  test('large files pass by: parts go to the bucket and downloads come from there', async () => {
    const content = Buffer.alloc(6 * 2 ** 20, LINE);
    const send = (path: string, body: object) =>
      fn.ask({
        method: 'POST',
        path,
        headers: authorized({ 'content-type': 'application/json' }),
        body: Buffer.from(JSON.stringify(body)),
      });
    const upload = json(
      await send('/v1/uploads', {
        bytes: content.length,
        filename: 'large.jsonl',
        mime_type: 'application/jsonl',
        purpose: 'batch',
      }),
    );
    const half = content.length / 2;
    const { data } = json(await send(`/v1/uploads/${upload.id}/part_urls`, { bytes: [half, half] }));
    for (const [i, part] of data.entries()) {
      const put = await fetch(part.url, { method: part.method, body: content.subarray(i * half, (i + 1) * half) });
      expect(put.status).toBe(200);
    }
    const done = json(
      await send(`/v1/uploads/${upload.id}/complete`, { part_ids: data.map((part: { id: string }) => part.id) }),
    );
    expect(done).toMatchObject({ status: 'completed', file: { bytes: content.length } });
    const asked = await fn.ask({ method: 'GET', path: `/v1/files/${done.file.id}/content`, headers: authorized() });
    expect(asked.status).toBe(302);
    expect(asked.headers.get('cache-control')).toBe('no-store');
    const downloaded = await fetch(asked.headers.get('location') ?? '');
    expect(Buffer.from(await downloaded.arrayBuffer()).equals(content)).toBe(true);
  });

  test('refuses as the API does elsewhere', async () => {
    const anonymous = await fn.ask({ method: 'GET', path: '/v1/batches' });
    expect([anonymous.status, json(anonymous).error.code]).toEqual([401, 'missing_api_key']);
    const nowhere = await fn.ask({ method: 'GET', path: '/v1/nothing', headers: authorized() });
    expect(nowhere.status).toBe(404);
    const mangled = await fn.ask({
      method: 'POST',
      path: '/v1/files',
      headers: authorized({ 'content-type': 'multipart/form-data; boundary=x' }),
      body: Buffer.from('--x\r\nnot a form'),
    });
    expect([mangled.status, json(mangled).error.code]).toEqual([400, 'invalid_form']);
  });
});

test('without its settings every answer is a 503 that tells nothing, and the next request tries again', async () => {
  const fn = await LambdaFunction.start('apps/api/lambda.mjs', FUNCTION_URL, { QUEUE_URL: '', BUCKET_URL: s3.url });
  try {
    for (let i = 0; i < 2; i++) {
      const refused = await fn.ask({ method: 'GET', path: '/v1/models' });
      expect([refused.status, json(refused).error.code]).toEqual([503, 'unavailable']);
      expect(refused.body.toString()).not.toContain('QUEUE_URL');
    }
  } finally {
    await fn.stop();
  }
});
