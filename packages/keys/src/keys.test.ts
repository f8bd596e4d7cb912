import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { type Bucket, layout, openBucket } from '@batchmill/bucket';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { anyKeys, createKey, listKeys, revokeKey } from './keys.ts';
import { createVerifier } from './verifier.ts';

let folder: string;
let bucket: Bucket;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-keys-'));
  bucket = await openBucket(pathToFileURL(folder).href);
});
afterEach(async () => {
  await bucket.close();
  await rm(folder, { recursive: true });
});

test('a key opens its tenant, and the bucket never holds the key', async () => {
  expect(await anyKeys(bucket)).toBe(false);
  const { key, record } = await createKey(bucket, { tenant: 'acme', name: 'laptop' });
  expect(key).toMatch(/^bm_live_[A-Za-z0-9_-]{43}$/);
  expect(record).toMatchObject({ tenant: 'acme', name: 'laptop', hint: key.slice(-4), revoked_at: null });
  expect(await anyKeys(bucket)).toBe(true);
  expect(await createVerifier(bucket).verify(key)).toEqual(record);
  const secret = key.slice('bm_live_'.length);
  for await (const object of bucket.list('')) {
    const stored = `${object.key} ${Buffer.from((await bucket.get(object.key)) ?? []).toString()}`;
    expect(stored).not.toContain(secret);
  }
});

test('what is no key opens nothing', async () => {
  const { key } = await createKey(bucket, { tenant: 'acme', name: 'laptop' });
  const verifier = createVerifier(bucket);
  const last = key.at(-1) === 'A' ? 'B' : 'A';
  for (const wrong of [
    '',
    'bm_live_',
    `${key.slice(0, -1)}${last}`,
    `${key}x`,
    key.toUpperCase(),
    '../keys',
    `${key}\n`,
  ]) {
    expect(await verifier.verify(wrong)).toBeNull();
  }
});

test('a revoked key is refused once the memory of it is over, and stays in the list', async () => {
  const { key, record } = await createKey(bucket, { tenant: 'acme', name: 'laptop' });
  const verifier = createVerifier(bucket, { cacheMs: 100 });
  expect(await verifier.verify(key)).not.toBeNull();
  const revoked = await revokeKey(bucket, record.id);
  expect(revoked?.revoked_at).toBeGreaterThanOrEqual(record.created_at);
  expect(await revokeKey(bucket, record.id)).toEqual(revoked);
  expect(await revokeKey(bucket, 'key_unknown')).toBeNull();
  await sleep(150);
  expect(await verifier.verify(key)).toBeNull();
  expect(await listKeys(bucket)).toEqual([revoked]);
  expect(await anyKeys(bucket)).toBe(true);
});

test('an expired key is refused at once, remembered or not', async () => {
  const expiresAt = Math.floor(Date.now() / 1000) + 1;
  const { key } = await createKey(bucket, { tenant: 'acme', name: 'short', expiresAt });
  const verifier = createVerifier(bucket);
  expect(await verifier.verify(key)).not.toBeNull();
  await sleep(expiresAt * 1000 - Date.now() + 5);
  expect(await verifier.verify(key)).toBeNull();
});

test('a tenant that could not be a bucket key is refused', async () => {
  for (const tenant of ['', '../x', 'a/b', 'A', 'a'.repeat(64), 'a b', '-a']) {
    await expect(createKey(bucket, { tenant, name: 'x' })).rejects.toMatchObject({ param: 'tenant' });
  }
});

test('a store that fails once is asked again', async () => {
  const { key } = await createKey(bucket, { tenant: 'acme', name: 'laptop' });
  let down = true;
  const flaky = new Proxy(bucket, {
    get: (target, name) => {
      const value = Reflect.get(target, name);
      if (name !== 'get') return value;
      return (k: string) => (down ? Promise.reject(new Error('down')) : target.get(k));
    },
  });
  const verifier = createVerifier(flaky);
  await expect(verifier.verify(key)).rejects.toThrow('down');
  down = false;
  expect((await verifier.verify(key))?.tenant).toBe('acme');
});

test('guesses are forgotten: a wrong key becomes right when it is created', async () => {
  const { key } = await createKey(bucket, { tenant: 'acme', name: 'laptop' });
  const stored: string[] = [];
  for await (const object of bucket.list(layout.keyPrefix)) stored.push(object.key);
  const record = (await bucket.get(stored[0] ?? '')) ?? new Uint8Array();
  await bucket.delete(stored[0] ?? '');
  const verifier = createVerifier(bucket, { cacheMs: 50 });
  expect(await verifier.verify(key)).toBeNull();
  await bucket.put(stored[0] ?? '', record);
  await sleep(80);
  expect(await verifier.verify(key)).not.toBeNull();
});
