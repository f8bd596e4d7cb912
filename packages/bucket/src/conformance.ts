import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { arrayOf, keysOf, listConformance } from './conformance-list.ts';
import { type Bucket, BucketKeyError, ObjectMissingError } from './port.ts';

const MiB = 1024 * 1024;

export interface ConformanceOptions {
  /** Counts what an upload that did not finish may have left: temporary files, parts on a server. */
  leftovers: () => Promise<number>;
  /** How many random sets of keys are listed. */
  listRuns?: number;
}

/** What every adapter must do. `open` gives an empty bucket; all tests share it, each under a key prefix of its own. */
export function bucketConformance(name: string, open: () => Promise<Bucket>, options: ConformanceOptions): void {
  describe(`${name}: conformance`, () => {
    let bucket: Bucket;
    let folders = 0;
    const folder = () => `t${1000 + ++folders}`;
    const text = async (key: string) => decode(await bucket.get(key));
    const readText = async (key: string, range?: { start: number; end?: number }) => {
      const body = await bucket.read(key, range);
      return body === null ? null : decode(Buffer.concat(await arrayOf(body)));
    };
    const keys = (prefix: string) => keysOf(bucket, prefix);

    beforeAll(async () => {
      bucket = await open();
    });
    afterAll(async () => {
      await bucket.close();
    });

    test('gives back what was put, and replaces', async () => {
      const f = folder();
      await bucket.put(`${f}/text`, 'grüße');
      await bucket.put(`${f}/bytes`, Uint8Array.of(0, 255, 10, 13));
      await bucket.put(`${f}/empty`, '');
      expect(await text(`${f}/text`)).toBe('grüße');
      expect([...((await bucket.get(`${f}/bytes`)) ?? [])]).toEqual([0, 255, 10, 13]);
      expect((await bucket.get(`${f}/empty`))?.byteLength).toBe(0);
      await bucket.put(`${f}/text`, 'new');
      expect(await text(`${f}/text`)).toBe('new');
      expect(await readText(`${f}/text`)).toBe('new');
    });

    test('says null for what is not there, and deletes it without complaint', async () => {
      const f = folder();
      await bucket.put(`${f}/there/x`, 'x');
      for (const key of [`${f}/no`, `${f}/no/deeper`, `${f}/ther`]) {
        expect(await bucket.get(key)).toBeNull();
        expect(await bucket.read(key)).toBeNull();
        expect(await bucket.head(key)).toBeNull();
        await bucket.delete(key);
      }
      expect(await text(`${f}/there/x`)).toBe('x');
    });

    test('tells size and age', async () => {
      const key = `${folder()}/x`;
      await bucket.put(key, '12345');
      const info = await bucket.head(key);
      expect(info).toMatchObject({ key, bytes: 5 });
      expect(Math.abs((info?.modified ?? 0) - Date.now())).toBeLessThan(60_000);
      expect(await arrayOf(bucket.list(key))).toEqual([info]);
    });

    test('deletes', async () => {
      const f = folder();
      await bucket.put(`${f}/a/b/x`, 'x');
      await bucket.put(`${f}/y`, 'y');
      await bucket.delete(`${f}/a/b/x`);
      expect(await bucket.get(`${f}/a/b/x`)).toBeNull();
      expect(await keys(`${f}/`)).toEqual([`${f}/y`]);
      await bucket.put(`${f}/a/b/x`, 'again');
      expect(await text(`${f}/a/b/x`)).toBe('again');
    });

    test('creates only what is not there', async () => {
      const key = `${folder()}/x`;
      expect(await bucket.create(key, 'first')).toBe(true);
      expect(await bucket.create(key, 'second')).toBe(false);
      expect(await text(key)).toBe('first');
      await bucket.delete(key);
      expect(await bucket.create(key, 'third')).toBe(true);
      expect(await text(key)).toBe('third');
    });

    test('lets one of twenty racing creators win, whose object is there whole', async () => {
      const f = folder();
      for (let round = 0; round < 5; round++) {
        const bodies = Array.from({ length: 20 }, (_, i) => Buffer.alloc(50_000, 65 + i));
        const won = await Promise.all(bodies.map((body) => bucket.create(`${f}/${round}/x`, body)));
        expect(won.filter(Boolean)).toHaveLength(1);
        expect(
          Buffer.compare(
            (await bucket.get(`${f}/${round}/x`)) ?? Buffer.of(),
            bodies[won.indexOf(true)] ?? Buffer.of(),
          ),
        ).toBe(0);
      }
    });

    test('keeps writers and deleters in one place apart', async () => {
      const f = folder();
      const work = async (i: number) => {
        for (let n = 0; n < 25; n++) {
          const key = `${f}/deep/er/${i}`;
          if (n % 2 === 0) await bucket.put(key, `${n}`);
          else expect(await bucket.create(key, `${n}`)).toBe(true);
          expect(await text(key)).toBe(`${n}`);
          await bucket.delete(key);
          expect(await bucket.get(key)).toBeNull();
        }
      };
      await Promise.all(Array.from({ length: 8 }, (_, i) => work(i)));
      expect(await keys(f)).toEqual([]);
    });

    test('shows readers the old or the new object, never a mix', async () => {
      const key = `${folder()}/x`;
      const body = (letter: string) => letter.repeat(300_000);
      await bucket.put(key, body('a'));
      let writing = true;
      const writer = (async () => {
        for (let i = 0; i < 30; i++) await bucket.put(key, body('abc'[i % 3] ?? ''));
        writing = false;
      })();
      const reader = async () => {
        while (writing) {
          const read = (await readText(key)) ?? '';
          expect(read.length).toBe(300_000);
          expect(read === body(read[0] ?? '')).toBe(true);
        }
      };
      await Promise.all([writer, reader(), reader(), reader()]);
    });

    test('writes and reads a large object in flat memory', async () => {
      const key = `${folder()}/large`;
      const total = 192 * MiB;
      const chunk = Buffer.allocUnsafeSlow(100_003).map((_, i) => (i * 31) % 251);
      const memory = peakMemory();
      const sent = createHash('sha256');
      async function* source() {
        for (let bytes = 0; bytes < total; bytes += chunk.length) {
          const part = chunk.subarray(0, Math.min(chunk.length, total - bytes));
          sent.update(part);
          memory.sample();
          yield part;
        }
      }
      expect(await bucket.write(key, source())).toEqual({ bytes: total });
      const received = createHash('sha256');
      let bytes = 0;
      for await (const part of (await bucket.read(key)) ?? nothing()) {
        received.update(part);
        bytes += part.byteLength;
        memory.sample();
      }
      expect(bytes).toBe(total);
      expect(received.digest('hex')).toBe(sent.digest('hex'));
      expect(memory.peak() / MiB).toBeLessThan(112);
      await bucket.delete(key);
    });

    test('writes streams of nothing, of empty chunks and of one byte', async () => {
      const f = folder();
      const cases: [string, Uint8Array[]][] = [
        ['none', []],
        ['empty', [Buffer.of(), Buffer.of()]],
        ['one', [Buffer.of(), Buffer.from('x'), Buffer.of()]],
      ];
      for (const [key, chunks] of cases) {
        const bytes = Buffer.concat(chunks).length;
        expect(await bucket.write(`${f}/${key}`, stream(chunks))).toEqual({ bytes });
        expect((await bucket.get(`${f}/${key}`))?.byteLength).toBe(bytes);
      }
    });

    test.each([0, 30])('leaves nothing if the source fails after %i MiB', async (size) => {
      const f = folder();
      await bucket.put(`${f}/old`, 'old');
      let closed = false;
      const failure = new TypeError('the source broke');
      async function* source() {
        try {
          for (let i = 0; i < size; i++) yield Buffer.alloc(MiB);
          throw failure;
        } finally {
          closed = true;
        }
      }
      await expect(bucket.write(`${f}/new`, source())).rejects.toBe(failure);
      await expect(bucket.write(`${f}/old`, source())).rejects.toBe(failure);
      expect(closed).toBe(true);
      expect(await keys(f)).toEqual([`${f}/old`]);
      expect(await text(`${f}/old`)).toBe('old');
      expect(await options.leftovers()).toBe(0);
    });

    test.each([0, 30])('leaves nothing if it is aborted after %i MiB, even if the source is silent', async (size) => {
      const f = folder();
      const controller = new AbortController();
      const reason = new Error('enough');
      async function* source() {
        for (let i = 0; i < size; i++) yield Buffer.alloc(MiB);
        setTimeout(() => controller.abort(reason), 20);
        await new Promise(() => {});
      }
      await expect(bucket.write(`${f}/x`, source(), { signal: controller.signal })).rejects.toBe(reason);
      // And with a signal that is aborted from the start.
      await expect(bucket.write(`${f}/x`, source(), { signal: controller.signal })).rejects.toBe(reason);
      expect(await keys(f)).toEqual([]);
      expect(await options.leftovers()).toBe(0);
    });

    test('reads ranges', async () => {
      const f = folder();
      await bucket.put(`${f}/x`, '0123456789');
      await bucket.put(`${f}/empty`, '');
      expect(await readText(`${f}/x`, { start: 0, end: 0 })).toBe('0');
      expect(await readText(`${f}/x`, { start: 3, end: 5 })).toBe('345');
      expect(await readText(`${f}/x`, { start: 7 })).toBe('789');
      expect(await readText(`${f}/x`, { start: 9 })).toBe('9');
      expect(await readText(`${f}/x`, { start: 8, end: 1000 })).toBe('89');
      expect(await readText(`${f}/x`, { start: 0 })).toBe('0123456789');
      expect(await readText(`${f}/x`, { start: 10 })).toBe('');
      expect(await readText(`${f}/x`, { start: 100, end: 200 })).toBe('');
      expect(await readText(`${f}/empty`, { start: 0 })).toBe('');
      expect(await readText(`${f}/no`, { start: 0 })).toBeNull();
      for (const range of [{ start: -1 }, { start: 0.5 }, { start: 3, end: 2 }, { start: Number.NaN }]) {
        await expect(bucket.read(`${f}/x`, range)).rejects.toThrow(RangeError);
      }
    });

    test('lets go of readers that stop early, or before the first byte', async () => {
      const key = `${folder()}/x`;
      await bucket.write(key, stream([Buffer.alloc(2 * MiB)]));
      for (let i = 0; i < 150; i++) {
        const unread = (await bucket.read(key))?.[Symbol.asyncIterator]();
        await unread?.return?.();
        for await (const chunk of (await bucket.read(key)) ?? nothing()) if (chunk.byteLength > 0) break;
      }
      expect((await bucket.head(key))?.bytes).toBe(2 * MiB);
    });

    listConformance(() => bucket, folder, options.listRuns ?? 40);

    test('rejects keys that are none', async () => {
      const bad = [
        ...['', '/', '/a', 'a/', 'a//b', '.', '..', '../a', 'a/../b', 'a/..', './a', 'a/./b', 'a\\b', '..\\a', 'C:\\a'],
        ...['a\0b', 'a b', 'ä', 'a\nb', 'a%2e', 'a*', '~tmp/x', 'a'.repeat(256), Array(451).fill('aa').join('/')],
      ];
      for (const key of bad) {
        const attempts: Promise<unknown>[] = [
          bucket.put(key, 'x'),
          bucket.create(key, 'x'),
          bucket.write(key, stream([Buffer.from('x')])),
          bucket.get(key),
          bucket.read(key),
          bucket.head(key),
          bucket.delete(key),
          bucket.concat(key, []),
          bucket.concat('fine', [key]),
          bucket.presign(key, { seconds: 60 }),
          bucket.presignWrite(key, { seconds: 60, bytes: 1 }),
        ];
        for (const attempt of attempts) await expect(attempt, JSON.stringify(key)).rejects.toThrow(BucketKeyError);
      }
      for (const prefix of ['/', '../', 'a/../b', 'a//', 'a\\', '\0', '~']) {
        await expect(keys(prefix), JSON.stringify(prefix)).rejects.toThrow(BucketKeyError);
      }
    });

    test('takes long keys and every letter of the alphabet', async () => {
      const f = folder();
      const long = [f, 'a'.repeat(255), 'b'.repeat(255), 'c'.repeat(255), 'd'.repeat(100)].join('/');
      const odd = `${f}/...=+-_.../+=/=/-/_aZ09.jsonl`;
      for (const key of [long, odd]) {
        await bucket.put(key, 'x');
        expect(await text(key)).toBe('x');
        expect(await keys(key)).toEqual([key]);
      }
    });

    test('joins objects in order', async () => {
      const f = folder();
      const big = (letter: string, bytes: number) => Buffer.alloc(bytes, letter);
      const parts: Record<string, Buffer> = {
        'a+=': Buffer.from('small '),
        none: Buffer.of(),
        b: big('b', 6 * MiB),
        c: big('c', 5 * MiB),
      };
      for (const [key, body] of Object.entries(parts)) await bucket.put(`${f}/${key}`, body);
      const cases = [[], ['none'], ['a+='], ['b', 'none', 'c', 'a+='], ['a+=', 'b', 'a+=', 'c'], ['b']];
      for (const [i, names] of cases.entries()) {
        const expected = Buffer.concat(names.map((key) => parts[key] ?? Buffer.of()));
        const sources = names.map((key) => `${f}/${key}`);
        expect(await bucket.concat(`${f}/joined/${i}`, sources)).toEqual({ bytes: expected.length });
        expect(expected.equals((await bucket.get(`${f}/joined/${i}`)) ?? Buffer.of())).toBe(true);
      }
      expect(await text(`${f}/a+=`)).toBe('small ');
      await expect(bucket.concat(`${f}/bad`, [`${f}/b`, `${f}/no`])).rejects.toThrow(ObjectMissingError);
      expect(await bucket.head(`${f}/bad`)).toBeNull();
      expect(await options.leftovers()).toBe(0);
    });

    test('checks itself and leaves nothing', async () => {
      const before = await keys('');
      await bucket.check();
      await bucket.check();
      expect(await keys('')).toEqual(before);
      expect(await options.leftovers()).toBe(0);
    });
  });
}

function decode(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString();
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function* stream(chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

/** Watches how much memory outside the JavaScript heap (where the bytes of streams are) is taken above what is taken now. */
function peakMemory(): { sample(): void; peak(): number } {
  const before = process.memoryUsage().arrayBuffers;
  let peak = 0;
  return {
    sample: () => {
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
    },
    peak: () => peak,
  };
}
