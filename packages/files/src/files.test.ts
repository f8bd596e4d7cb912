import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Bucket, BucketUnavailableError, layout, openBucket } from '@batchmill/bucket';
import { newId } from '@batchmill/contract';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createFile, deleteFile, getFile, listFiles, readFile } from './files.ts';
import { stageFile } from './stage.ts';
import { sweepFiles } from './sweep.ts';

const DAY = 86_400_000;
let folder: string;
let bucket: Bucket;
let tenant: string;
let tenants = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-files-'));
  bucket = await openBucket(pathToFileURL(folder).href);
});
afterAll(async () => {
  await bucket.close();
  await rm(folder, { recursive: true });
});
beforeEach(() => {
  tenants += 1;
  tenant = `t${tenants}`;
});

async function* bytes(...chunks: string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

async function text(source: AsyncIterable<Uint8Array> | null): Promise<string | null> {
  if (source === null) return null;
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

async function keys(prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of bucket.list(prefix)) found.push(key);
  return found;
}

/** Every key that mentions the tenant. */
async function keysOfTenant(): Promise<string[]> {
  return (await keys('')).filter((key) => key.split('/').includes(tenant));
}

function create(content = 'hello', details: Partial<Parameters<typeof createFile>[2]> = {}) {
  return createFile(bucket, tenant, { filename: 'a.txt', purpose: 'user_data', source: bytes(content), ...details });
}

describe('createFile', () => {
  test('gives a file that can be described, read and listed', async () => {
    const file = await create('hello world');
    expect(file).toMatchObject({ object: 'file', bytes: 11, filename: 'a.txt', purpose: 'user_data' });
    expect(file).not.toHaveProperty('expires_at');
    expect(await getFile(bucket, tenant, file.id)).toEqual(file);
    expect(await text(await readFile(bucket, tenant, file.id))).toBe('hello world');
    expect(await text(await readFile(bucket, tenant, file.id, { start: 6, end: 8 }))).toBe('wor');
    expect((await listFiles(bucket, tenant, { limit: 10, order: 'desc' })).data).toEqual([file]);
  });

  test('lets batch files expire after 30 days by default, and others when asked', async () => {
    const batch = await create('x', { purpose: 'batch' });
    expect(batch.expires_at).toBe(batch.created_at + 30 * 86_400);
    const asked = await create('x', { purpose: 'batch', secondsToLive: 3600 });
    expect(asked.expires_at).toBe(asked.created_at + 3600);
  });

  test('leaves nothing when the source breaks off or is too long', async () => {
    async function* broken() {
      yield Buffer.from('some');
      throw new Error('connection lost');
    }
    await expect(create('', { source: broken() })).rejects.toThrow('connection lost');
    await expect(create('123456', { maxBytes: 5 })).rejects.toMatchObject({ status: 413 });
    expect(await keysOfTenant()).toEqual([]);
    expect((await create('12345', { maxBytes: 5 })).bytes).toBe(5);
  });

  test('writes a file again under the id of an earlier attempt', async () => {
    const id = newId('file-');
    await create('first', { id });
    const file = await create('second!', { id });
    expect(file).toMatchObject({ id, bytes: 7 });
    expect(await text(await readFile(bucket, tenant, id))).toBe('second!');
    expect((await listFiles(bucket, tenant, { limit: 10, order: 'desc' })).data).toEqual([file]);
  });

  test('shows no file without its content, at whichever step the process dies', async () => {
    let steps = 0;
    const writing = new Set(['put', 'write', 'create', 'delete']);
    /** The real bucket, for a process that dies at its `limit`-th change. */
    const dying = (limit: number) =>
      new Proxy(bucket, {
        get: (target, name) => {
          const value = Reflect.get(target, name);
          if (typeof value !== 'function') return value;
          return (...args: unknown[]) => {
            if (writing.has(String(name))) {
              if (steps >= limit) return Promise.reject(new Error('died'));
              steps += 1;
            }
            return Reflect.apply(value, target, args);
          };
        },
      });
    let died = 0;
    for (let limit = 0; limit < 20; limit++) {
      steps = 0;
      const input = { filename: 'a', purpose: 'batch', source: bytes('content') } as const;
      const outcome = await createFile(dying(limit), tenant, input).catch(() => null);
      if (outcome === null) died += 1;
      const visible = [
        ...(await listFiles(bucket, tenant, { limit: 100, order: 'desc' })).data,
        ...(await listFiles(bucket, tenant, { limit: 100, order: 'asc' })).data,
      ];
      for (const file of visible) expect(await text(await readFile(bucket, tenant, file.id))).toBe('content');
      if (outcome !== null) break;
    }
    expect(died).toBeGreaterThan(4);
    // The sweep finishes or removes what the deaths left: afterwards both orders show the same, and nothing else is there.
    await sweepFiles(bucket, Date.now() + 2 * DAY);
    const desc = await listFiles(bucket, tenant, { limit: 100, order: 'desc' });
    const asc = await listFiles(bucket, tenant, { limit: 100, order: 'asc' });
    expect(asc.data).toEqual(desc.data.toReversed());
    expect(await keys(`files/${tenant}/`)).toHaveLength(desc.data.length * 2);
    await sweepFiles(bucket, Date.now() + 31 * DAY);
    expect(await keysOfTenant()).toEqual([]);
  });
});

describe('listFiles', () => {
  test('pages through all files once, in both orders, and by purpose', async () => {
    const made = [];
    for (let i = 0; i < 25; i++) {
      const id = newId('file-', Date.now() + i);
      made.push(await create(`${i}`, { id, purpose: i % 5 === 0 ? 'batch_output' : 'user_data' }));
    }
    for (const order of ['asc', 'desc'] as const) {
      for (const purpose of [undefined, 'batch_output'] as const) {
        const seen = [];
        let after: string | undefined;
        for (;;) {
          const page = await listFiles(bucket, tenant, {
            limit: 2,
            order,
            ...(after === undefined ? {} : { after }),
            ...(purpose === undefined ? {} : { purpose }),
          });
          seen.push(...page.data);
          expect(page.last_id).toBe(page.data.at(-1)?.id ?? null);
          if (!page.has_more) break;
          after = page.last_id ?? undefined;
        }
        const expected = made.filter((file) => purpose === undefined || file.purpose === purpose);
        expect(seen).toEqual(order === 'asc' ? expected : expected.toReversed());
      }
    }
  });

  test('goes on after a file that has been deleted meanwhile', async () => {
    const files = [];
    for (let i = 0; i < 3; i++) files.push(await create('x', { id: newId('file-', Date.now() + i) }));
    const [oldest, middle, newest] = files;
    await deleteFile(bucket, tenant, middle?.id ?? '');
    const after = middle?.id ?? '';
    expect((await listFiles(bucket, tenant, { after, limit: 5, order: 'desc' })).data).toEqual([oldest]);
    expect((await listFiles(bucket, tenant, { after, limit: 5, order: 'asc' })).data).toEqual([newest]);
  });

  test('refuses a cursor that is no file id', async () => {
    const query = { after: '../../keys', limit: 5, order: 'desc' } as const;
    await expect(listFiles(bucket, tenant, query)).rejects.toMatchObject({ status: 400, param: 'after' });
  });
});

describe('the end of a file', () => {
  test('deleteFile removes every trace, once', async () => {
    const file = await create('x', { purpose: 'batch' });
    expect(await deleteFile(bucket, tenant, file.id)).toBe(true);
    expect(await getFile(bucket, tenant, file.id)).toBeNull();
    expect(await readFile(bucket, tenant, file.id)).toBeNull();
    expect(await keysOfTenant()).toEqual([]);
    expect(await deleteFile(bucket, tenant, file.id)).toBe(false);
  });

  test("another tenant's file, and what is no id, do not exist", async () => {
    const file = await create();
    for (const id of [file.id, 'file-x', '../t1/file', '', `${file.id}/content`, `${file.id}\0`]) {
      expect(await getFile(bucket, 'somebody-else', id)).toBeNull();
      expect(await deleteFile(bucket, 'somebody-else', id)).toBe(false);
    }
    expect(await getFile(bucket, tenant, file.id)).not.toBeNull();
  });

  test('an expired file is gone before the sweep, and its bytes after it', async () => {
    const file = await create('x', { expiresAt: Math.floor(Date.now() / 1000) - 1 });
    const kept = await create('y', { secondsToLive: 3600 });
    expect(await getFile(bucket, tenant, file.id)).toBeNull();
    expect(await readFile(bucket, tenant, file.id)).toBeNull();
    expect((await listFiles(bucket, tenant, { limit: 5, order: 'desc' })).data).toEqual([kept]);
    expect(await keys(layout.file.content(tenant, file.id))).toHaveLength(1);
    expect((await sweepFiles(bucket)).files).toBe(1);
    expect((await keysOfTenant()).filter((key) => key.includes(file.id))).toEqual([]);
    expect((await keysOfTenant()).filter((key) => key.includes(kept.id))).toHaveLength(4);
  });

  test('the sweep removes content that was never published after a day, and not before', async () => {
    const staged = await stageFile(bucket, tenant, bytes('lost'));
    await sweepFiles(bucket, Date.now() + DAY / 2);
    expect(await bucket.get(layout.file.content(tenant, staged.id))).not.toBeNull();
    await sweepFiles(bucket, Date.now() + 1.1 * DAY);
    expect(await keysOfTenant()).toEqual([]);
  });

  test('the sweep finds content that a store has taken although it said that it failed', async () => {
    // As S3 does when every one of its answers is lost on the way.
    const deaf: Bucket = Object.create(bucket, {
      put: { value: (...a: Parameters<Bucket['put']>) => bucket.put(...a) },
      delete: { value: (key: string) => bucket.delete(key) },
      write: {
        value: async (...a: Parameters<Bucket['write']>) => {
          await bucket.write(...a);
          throw new BucketUnavailableError('no answer');
        },
      },
    });
    await expect(
      createFile(deaf, tenant, { filename: 'a.txt', purpose: 'user_data', source: bytes('hello') }),
    ).rejects.toThrow('no answer');
    expect(await keysOfTenant()).not.toEqual([]);
    await sweepFiles(bucket, Date.now() + 1.1 * DAY);
    expect(await keysOfTenant()).toEqual([]);
  });

  test('the sweep leaves a second attempt alone although the first one died long ago', async () => {
    const id = newId('file-');
    await bucket.put(layout.file.expires(Math.floor(Date.now() / 1000) - 60, tenant, id), '');
    const second = await stageFile(bucket, tenant, bytes('second'), { id });
    await sweepFiles(bucket);
    const file = await second.publish({ filename: 'a', purpose: 'batch_output' });
    expect(await text(await readFile(bucket, tenant, id))).toBe('second');
    await sweepFiles(bucket);
    expect(await getFile(bucket, tenant, id)).toEqual(file);
    expect(await keysOfTenant()).toHaveLength(3);
  });
});
