import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type S3Server, startS3 } from '../../../../test/servers/s3.ts';
import { BucketUnavailableError } from '../port.ts';
import { BucketUrlError } from '../url.ts';
import { openS3Input } from './input.ts';
import { listS3Inputs, type S3InputInfo } from './input-list.ts';

let server: S3Server;
let bucket: string;
beforeAll(async () => {
  server = await startS3();
  Object.assign(process.env, server.env, { AWS_ENDPOINT_URL_S3: server.endpoint });
  bucket = new URL(server.url).hostname;
  const client = new S3Client({ endpoint: server.endpoint, region: 'us-east-1', forcePathStyle: true });
  const put = (Key: string, Body: string) => client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
  for (const key of ['scans/a.pdf', 'scans/2024/b (1).pdf', 'scans/ä?#.png', 'scans-old/c.pdf', 'scan'])
    await put(key, key);
  for (let i = 0; i < 1_100; i++) await put(`many/${String(i).padStart(4, '0')}.txt`, 'x');
  client.destroy();
}, 1_200_000);
afterAll(async () => {
  delete process.env.AWS_ENDPOINT_URL_S3;
  await server.stop();
});

async function list(url: string): Promise<S3InputInfo[]> {
  const objects: S3InputInfo[] = [];
  for await (const object of listS3Inputs(url)) objects.push(object);
  return objects;
}
const keys = async (prefix: string) => (await list(`s3://${bucket}/${prefix}`)).map((o) => o.key);

test('a prefix is a folder or one object, and what it lists can be read', async () => {
  const inside = ['scans/2024/b (1).pdf', 'scans/a.pdf', 'scans/ä?#.png'];
  expect(await keys('scans')).toEqual(inside);
  expect(await keys('scans/')).toEqual(inside);
  expect(await keys('scans/a.pdf')).toEqual(['scans/a.pdf']);
  expect(await keys('scan')).toEqual(['scan']);
  expect(await keys('none')).toEqual([]);
  for await (const { url, key, bytes, etag, modified } of listS3Inputs(`s3://${bucket}/scans`)) {
    const parts: Uint8Array[] = [];
    for await (const part of (await openS3Input(url)).body) parts.push(part);
    expect(Buffer.concat(parts).toString()).toBe(key);
    expect(bytes).toBe(Buffer.byteLength(key));
    expect(etag).not.toBeNull();
    expect(Math.abs(Date.now() - modified)).toBeLessThan(3_600_000);
  }
});

test('more than one page of a listing is listed whole', async () => {
  const all = await keys('many');
  expect(all).toHaveLength(1_100);
  expect(all).toEqual(all.toSorted());
});

test('what is no such URL, and a store that is gone, are told apart', async () => {
  await expect(list('https://bucket/x')).rejects.toThrow(BucketUrlError);
  await expect(list('s3://no-such-bucket-here/x')).rejects.toThrow(BucketUnavailableError);
});
