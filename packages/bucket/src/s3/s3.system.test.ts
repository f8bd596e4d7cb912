import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { layLine } from '../../../../test/servers/line.ts';
import { type S3Server, startS3 } from '../../../../test/servers/s3.ts';
import { bucketConformance } from '../conformance.ts';
import { arrayOf } from '../conformance-list.ts';
import { openBucket } from '../open.ts';
import { BucketUnavailableError } from '../port.ts';

// The first start on a machine builds the server.
const MiB = 1024 * 1024;
const BUILD_MS = 20 * 60_000;

let server: S3Server;
beforeAll(async () => {
  server = await startS3();
  Object.assign(process.env, server.env);
}, BUILD_MS);
afterAll(() => server.stop());

bucketConformance('s3', () => openBucket(server.urlOf('conformance')), {
  leftovers: async () => {
    const client = new S3Client({ endpoint: server.endpoint, region: 'us-east-1', forcePathStyle: true });
    const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: 'batchmill-test' }));
    return Uploads?.length ?? 0;
  },
});

describe('s3', () => {
  test('signs URLs that download under a name', async () => {
    const bucket = await openBucket(server.urlOf('signed'));
    await bucket.put('dir/a+b=c', 'content');
    const url = await bucket.presign('dir/a+b=c', { seconds: 60, filename: 'Straße "1" (a).jsonl' });
    const response = await fetch(url ?? '');
    expect(await response.text()).toBe('content');
    expect(response.headers.get('content-disposition')).toBe(
      `attachment; filename="Stra_e _1_ (a).jsonl"; filename*=UTF-8''Stra%C3%9Fe%20%221%22%20%28a%29.jsonl`,
    );
    expect((await fetch((url ?? '').replace('a%2Bb', 'other'))).status).toBeGreaterThanOrEqual(400);
    await expect(bucket.presign('x', { seconds: 8 * 86_400 })).rejects.toThrow(RangeError);
    const elsewhere = await openBucket(`${server.urlOf('signed')}&publicEndpoint=https://files.example.org`);
    expect(await elsewhere.presign('x', { seconds: 60 })).toMatch(
      /^https:\/\/files\.example\.org\/batchmill-test\/signed\/x\?/,
    );
  });

  test('signs URLs that take exactly so many bytes', async () => {
    const bucket = await openBucket(server.urlOf('signed'));
    const url = (await bucket.presignWrite('dir/put+me', { seconds: 60, bytes: 7 })) ?? '';
    for (const body of ['longer than 7', 'short']) {
      expect((await fetch(url, { method: 'PUT', body })).status).toBe(403);
    }
    expect(await bucket.head('dir/put+me')).toBeNull();
    expect((await fetch(url, { method: 'PUT', body: 'content' })).status).toBe(200);
    expect(Buffer.from((await bucket.get('dir/put+me')) ?? []).toString()).toBe('content');
    expect((await fetch(url.replace('put%2Bme', 'other'), { method: 'PUT', body: 'content' })).status).toBe(403);
    await expect(bucket.presignWrite('x', { seconds: 8 * 86_400, bytes: 1 })).rejects.toThrow(RangeError);
  });

  test('keeps prefixes apart', async () => {
    const [one, two] = [await openBucket(server.urlOf('p')), await openBucket(server.urlOf('p/q'))];
    await one.put('x', '1');
    await two.put('x', '2');
    expect((await arrayOf(two.list(''))).map((info) => info.key)).toEqual(['x']);
    expect((await arrayOf(one.list('', { after: 'q/' }))).map((info) => info.key)).toEqual(['q/x', 'x']);
  });

  test('says what is wrong with the bucket or the credentials', async () => {
    const failure = async (url: string) => {
      const bucket = await openBucket(url);
      return String(await bucket.check().catch((error: unknown) => error));
    };
    expect(await failure(server.urlOf('').replace('batchmill-test', 'not-there'))).toContain(
      'no such bucket; create it',
    );
    const secret = process.env.AWS_SECRET_ACCESS_KEY ?? '';
    try {
      process.env.AWS_SECRET_ACCESS_KEY = 'wrong-secret';
      expect(await failure(server.url)).toContain('check AWS_SECRET_ACCESS_KEY');
      process.env.AWS_ACCESS_KEY_ID = 'nobody';
      expect(await failure(server.url)).toContain('check AWS_ACCESS_KEY_ID');
    } finally {
      Object.assign(process.env, server.env);
    }
    expect(secret).toBe(server.env.AWS_SECRET_ACCESS_KEY);
  });

  test('knows that it won, or lost, when the answer to its create is lost', async () => {
    await using line = await layLine(server.endpoint);
    const bucket = await openBucket(server.urlOf('lost').replace(server.endpoint, line.endpoint));
    for (const key of ['a', 'b', 'c']) {
      for (const won of [true, false]) {
        const before = line.breaks();
        line.breakAfter(0);
        expect(await bucket.create(key, 'body')).toBe(won);
        expect(line.breaks()).toBe(before + 1);
      }
    }
    await bucket.close();
  });

  test('reads and writes on when the line breaks', async () => {
    await using line = await layLine(server.endpoint);
    const bucket = await openBucket(server.urlOf('broken').replace(server.endpoint, line.endpoint));
    const body = Buffer.alloc(20 * MiB).map((_, i) => (i * 31) % 251);
    line.breakAfter(0);
    expect(await bucket.write('x', split(body))).toEqual({ bytes: body.length });
    expect(line.breaks()).toBe(1);
    for (const range of [undefined, { start: 1_000, end: 15 * MiB }]) {
      const before = line.breaks();
      line.breakAfter(3 * MiB);
      const read: Uint8Array[] = [];
      let seen = before;
      for await (const chunk of (await bucket.read('x', range)) ?? split(Buffer.of())) {
        read.push(chunk);
        if (line.breaks() === seen) continue;
        seen = line.breaks();
        if (seen < before + 4) line.breakAfter(3 * MiB);
      }
      expect(line.breaks()).toBe(before + 4);
      expect(Buffer.concat(read).equals(range === undefined ? body : body.subarray(range.start, range.end + 1))).toBe(
        true,
      );
    }
    await bucket.close();
  });

  test('is unavailable, in bounded time, when the server is gone, reads on and works when it is back', async () => {
    const bucket = await openBucket(server.urlOf('vanish'));
    const size = 32 * 1024 * 1024;
    await bucket.put('x', Buffer.alloc(size, 'x'));
    const reading = (await bucket.read('x'))?.[Symbol.asyncIterator]();
    let read = (await reading?.next())?.value?.byteLength ?? 0;
    await server.kill();

    const calls: (() => Promise<unknown>)[] = [
      () => bucket.get('x'),
      () => bucket.head('x'),
      () => bucket.put('y', 'y'),
      () => bucket.create('y', 'y'),
      () => bucket.delete('y'),
      () => bucket.write('y', split(Buffer.from('y'))),
      () => arrayOf(bucket.list('')),
      () => bucket.concat('y', ['x']),
      () => bucket.check(),
    ];
    for (const call of calls) {
      const start = performance.now();
      const failure = await call().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(BucketUnavailableError);
      expect(String(failure)).toContain('is the server running?');
      expect(performance.now() - start).toBeLessThan(5_000);
    }

    await server.start();
    for (let next = await reading?.next(); next?.done === false; next = await reading?.next())
      read += next.value.byteLength;
    expect(read).toBe(size);
    expect(await bucket.create('y', 'y')).toBe(true);
    expect(await bucket.create('x', 'y')).toBe(false);
  }, 120_000);
});

async function* split(body: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.byteLength; at += MiB) yield body.subarray(at, at + MiB);
}
