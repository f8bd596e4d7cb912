import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openBucket } from '@batchmill/bucket';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { type S3Server, startS3 } from '../servers/s3.ts';
import { type Stack, startStack } from '../servers/stack.ts';
import { chat, jsonl, text } from './items.ts';
import { clientOf, ended, resultsOf, submit } from './suite.ts';

/** Items that name objects of a user's own bucket, inside and outside of what the account may read. */
let folder: string;
let redis: RedisServer;
let s3: S3Server;
let stack: Stack;
let base: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-e2e-'));
  redis = await startRedis();
  s3 = await startS3();
  Object.assign(process.env, s3.env);
  const bucket = await openBucket(s3.url);
  const png = await sharp({ create: { width: 96, height: 96, channels: 3, background: '#204080' } })
    .png()
    .toBuffer();
  await bucket.put('scans/a.png', png);
  await bucket.put('private/b.png', png);
  await bucket.close();
  const url = new URL(s3.url);
  base = `s3://${url.hostname}${url.pathname.replace(/\/$/, '')}`;
  stack = await startStack({
    queueUrl: redis.url,
    bucketUrl: pathToFileURL(folder).href,
    env: {
      ...s3.env,
      AWS_ENDPOINT_URL_S3: url.searchParams.get('endpoint') ?? '',
      S3_INPUTS: JSON.stringify({ default: [`${base}/scans/`] }),
    },
  });
});
afterAll(async () => {
  await stack?.stop();
  await s3?.stop();
  await redis?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('an object inside the allow-list is read; outside, missing or in another bucket it is the item’s own error', async () => {
  const client = clientOf(stack.url);
  const image = (url: string) => [{ type: 'image_url', image_url: { url } }, text('What is it?')];
  const input = [
    chat('inside', image(`${base}/scans/a.png`)),
    chat('outside', image(`${base}/private/b.png`)),
    chat('missing', image(`${base}/scans/none.png`)),
    chat('elsewhere', image('s3://somebody-else/scans/a.png')),
  ];
  const results = await resultsOf(client, await ended(client, await submit(client, jsonl(input))), input);
  expect(results.get('inside')?.response?.status_code).toBe(200);
  const code = (id: string) => results.get(id)?.response?.body.error?.code;
  expect([code('outside'), code('missing'), code('elsewhere')]).toEqual([
    'url_not_allowed',
    'file_not_found',
    'url_not_allowed',
  ]);
});
