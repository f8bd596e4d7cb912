import { createHook } from 'node:async_hooks';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { bucketConformance } from '../conformance.ts';
import { arrayOf } from '../conformance-list.ts';
import { openBucket } from '../open.ts';
import { type Bucket, BucketKeyError, BucketUnavailableError } from '../port.ts';

const top = await mkdtemp(join(tmpdir(), 'batchmill-bucket-'));
afterAll(() => rm(top, { recursive: true, force: true }));

let buckets = 0;
async function newBucket(): Promise<{ bucket: Bucket; root: string }> {
  const root = join(top, `b${++buckets} ü#%`);
  return { bucket: await openBucket(pathToFileURL(root).href), root };
}

const shared = join(top, 'conformance');
bucketConformance('file', () => openBucket(pathToFileURL(shared).href), {
  leftovers: async () => (await readdir(join(shared, '~tmp'))).length,
  listRuns: 200,
});

/** Runs code in another process, with the bucket as `bucket`; gives the lines it printed. `kill` after so many lines. */
async function elsewhere(root: string, code: string, kill = Number.POSITIVE_INFINITY): Promise<string[]> {
  const program = `import { openBucket } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, '../open.ts')).href)};
    const bucket = await openBucket(${JSON.stringify(pathToFileURL(root).href)});
    ${code}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (data: Buffer) => {
    output += data.toString();
    if (output.split('\n').length > kill) child.kill('SIGKILL');
  });
  await once(child, 'close');
  return output.split('\n').filter((line) => line !== '');
}

describe('file', () => {
  test('has no URLs for downloads', async () => {
    const { bucket } = await newBucket();
    expect(await bucket.presign('a', { seconds: 60 })).toBeNull();
    expect(await bucket.presignWrite('a', { seconds: 60, bytes: 1 })).toBeNull();
  });

  test('lets one of several processes create', async () => {
    const { bucket, root } = await newBucket();
    const race = `for (let i = 0; i < 40; i++) if (await bucket.create('race/' + i, String(process.pid))) console.log(i + ' ' + process.pid);`;
    const winners = (await Promise.all([elsewhere(root, race), elsewhere(root, race), elsewhere(root, race)])).flat();
    expect(winners).toHaveLength(40);
    for (const line of winners) {
      const [key, pid] = line.split(' ');
      expect(Buffer.from((await bucket.get(`race/${key}`)) ?? []).toString()).toBe(pid);
    }
  });

  test('holds what was acknowledged, and only whole objects, when a writer is killed', async () => {
    const { bucket, root } = await newBucket();
    const write = `for (let i = 0; ; i++) {
      await Promise.all([
        bucket.put('put/' + i, 'p'.repeat(100_000)),
        bucket.create('create/' + i, 'c'.repeat(100_000)),
        bucket.write('write/' + i, (async function* () { for (let n = 0; n < 10; n++) yield Buffer.alloc(300_000, 'w'); })()),
      ]);
      console.log(i);
    }`;
    const acknowledged = (await elsewhere(root, write, 20)).map(Number);
    expect(acknowledged.length).toBeGreaterThanOrEqual(20);
    for (const i of acknowledged) {
      for (const kind of ['put', 'create', 'write']) expect(await bucket.head(`${kind}/${i}`)).not.toBeNull();
    }
    for await (const { key, bytes } of bucket.list(''))
      expect(bytes).toBe(key.startsWith('write/') ? 3_000_000 : 100_000);
  });

  test('removes the temporary files of dead processes when it opens, and no others', async () => {
    const { root } = await newBucket();
    for (const [name, hours] of [
      ['old', 7],
      ['new', 5],
    ] as const) {
      await writeFile(join(root, '~tmp', name), 'x');
      const time = Date.now() / 1000 - hours * 3600;
      await utimes(join(root, '~tmp', name), time, time);
    }
    const bucket = await openBucket(pathToFileURL(root).href);
    expect(await readdir(join(root, '~tmp'))).toEqual(['new']);
    expect(await arrayOf(bucket.list(''))).toEqual([]);
  });

  test('leaves no empty folders behind', async () => {
    const { bucket, root } = await newBucket();
    await bucket.put('a/b/c/d', 'x');
    await bucket.put('a/e', 'x');
    await bucket.delete('a/b/c/d');
    expect(await readdir(join(root, 'a'))).toEqual(['e']);
    await bucket.delete('a/e');
    expect(await readdir(root)).toEqual(['~tmp']);
  });

  test('goes on reading an object that is deleted or replaced meanwhile', async () => {
    const { bucket } = await newBucket();
    for (const disturb of [() => bucket.delete('x'), () => bucket.put('x', 'other')]) {
      await bucket.put('x', Buffer.alloc(1_000_000, 'x'));
      const body = await bucket.read('x');
      await disturb();
      expect(Buffer.concat(await arrayOf(body ?? nothing())).equals(Buffer.alloc(1_000_000, 'x'))).toBe(true);
    }
  });

  test('does not read folders that prefix and after rule out', async () => {
    const { bucket } = await newBucket();
    const list = () => arrayOf(bucket.list('b/', { after: 'b/5/w' }));
    for (const key of ['a/1/x', 'b/1/x', 'b/5/x', 'b/6/x', 'c/1/x']) await bucket.put(key, '');
    const few = await callsDuring(list);
    for (let i = 0; i < 20; i++)
      for (const key of [`a/${i}/x`, `b/1/${i}`, `b/4${i}/x`, `c/${i}/x`]) await bucket.put(key, '');
    expect(await callsDuring(list)).toBe(few);
    expect((await list()).map((info) => info.key)).toEqual(['b/5/x', 'b/6/x']);
  });

  test('ignores files that are no objects', async () => {
    const { bucket, root } = await newBucket();
    await bucket.put('a/x', 'x');
    await writeFile(join(root, 'a', 'not a key'), '');
    await writeFile(join(root, '~backup'), '');
    await mkdir(join(root, 'a', 'x~', 'y'), { recursive: true });
    expect((await arrayOf(bucket.list(''))).map((info) => info.key)).toEqual(['a/x']);
  });

  test('lists on while objects vanish', async () => {
    const { bucket, root } = await newBucket();
    for (let i = 10; i < 90; i++) await bucket.put(`${Math.trunc(i / 10)}/${i}`, '');
    const found: string[] = [];
    for await (const { key } of bucket.list('')) {
      found.push(key);
      if (key === '2/20') await rm(join(root, '6'), { recursive: true });
    }
    expect(found.filter((key) => !key.startsWith('6/'))).toHaveLength(70);
  });

  test('says that a key cannot be an object and a folder', async () => {
    const { bucket } = await newBucket();
    await bucket.put('a/b', 'x');
    await bucket.put('f', 'x');
    await expect(bucket.put('a', 'x')).rejects.toThrow(BucketKeyError);
    await expect(bucket.create('a', 'x')).rejects.toThrow(BucketKeyError);
    await expect(bucket.put('f/b', 'x')).rejects.toThrow(BucketKeyError);
    await bucket.delete('a');
    expect(await bucket.get('a')).toBeNull();
    expect(await bucket.get('a/b')).not.toBeNull();
  });

  test('is unavailable, not empty, when the folder is gone, and works when it is back', async () => {
    const { bucket, root } = await newBucket();
    await bucket.put('a/x', 'x');
    await rename(root, `${root}-away`);
    await mkdir(root); // The mount point of a disk that is not mounted.
    const calls: (() => Promise<unknown>)[] = [
      () => bucket.get('a/x'),
      () => bucket.read('a/x'),
      () => bucket.head('a/x'),
      () => bucket.put('a/x', 'y'),
      () => bucket.create('a/x', 'y'),
      () => bucket.delete('a/x'),
      () => arrayOf(bucket.list('a/')),
      () => bucket.check(),
    ];
    for (const call of calls) {
      const failure = await call().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(BucketUnavailableError);
      expect(String(failure)).toContain('the folder is gone; was the disk unmounted?');
    }
    await rm(root, { recursive: true });
    await rename(`${root}-away`, root);
    expect(await bucket.create('a/x', 'y')).toBe(false);
  });

  test('cannot be opened in a file, and says so', async () => {
    await writeFile(join(top, 'file'), '');
    await expect(openBucket(pathToFileURL(join(top, 'file', 'bucket')).href)).rejects.toThrow(BucketUnavailableError);
  });
});

/** How many file system calls are made while `work` runs. */
async function callsDuring(work: () => Promise<unknown>): Promise<number> {
  let calls = 0;
  const hook = createHook({
    init: (_id, type) => {
      if (type === 'FSREQPROMISE') calls++;
    },
  });
  hook.enable();
  await work();
  hook.disable();
  return calls;
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
