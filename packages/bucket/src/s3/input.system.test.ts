import { afterAll, beforeAll, expect, test } from 'vitest';
import { type S3Server, startS3 } from '../../../../test/servers/s3.ts';
import { openBucket } from '../open.ts';
import { BucketUnavailableError, ObjectMissingError } from '../port.ts';
import { BucketUrlError } from '../url.ts';
import { openS3Input, sizeOfS3Input } from './input.ts';

let server: S3Server;
let base: string;
beforeAll(async () => {
  server = await startS3();
  Object.assign(process.env, server.env);
  const url = new URL(server.url);
  process.env.AWS_ENDPOINT_URL_S3 = url.searchParams.get('endpoint') ?? '';
  base = `s3://${url.hostname}${url.pathname.replace(/\/$/, '')}`;
  const bucket = await openBucket(server.url);
  await bucket.put('scans/page.txt', 'the whole page');
  await bucket.close();
});
afterAll(async () => {
  delete process.env.AWS_ENDPOINT_URL_S3;
  await server.stop();
});

test('an object is read whole, or from a place on with the size of the whole', async () => {
  expect(await sizeOfS3Input(`${base}/scans/page.txt`)).toBe(14);
  const { size, etag, body } = await openS3Input(`${base}/scans/page.txt`, { start: 10 });
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  expect({ size, text: Buffer.concat(parts).toString() }).toEqual({ size: 14, text: 'page' });
  expect(etag).not.toBeNull();
});

test('what is missing or no object is told apart', async () => {
  for (const ask of [openS3Input, (url: string) => sizeOfS3Input(url)]) {
    await expect(ask(`${base}/scans/none.txt`)).rejects.toThrow(ObjectMissingError);
    await expect(ask('s3://bucket-only')).rejects.toThrow(BucketUrlError);
  }
  await expect(openS3Input('s3://no-such-bucket-here/key')).rejects.toThrow(/ObjectMissing|no object|bucket/i);
  await server.kill();
  await expect(openS3Input(`${base}/scans/page.txt`)).rejects.toThrow(BucketUnavailableError);
  await expect(sizeOfS3Input(`${base}/scans/page.txt`)).rejects.toThrow(BucketUnavailableError);
});
