import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Bucket, ObjectInfo } from './port.ts';

/** The part of the conformance suite about `list`. `folder` gives a new key prefix. `runs`: how many random sets of keys. */
export function listConformance(bucket: () => Bucket, folder: () => string, runs: number): void {
  const keys = (prefix: string, after?: string) => keysOf(bucket(), prefix, after);

  test('lists in byte order, by prefix and after a key', async () => {
    const f = folder();
    const names = ['a+', 'a-b', 'a.b', 'a/x', 'a/y/1', 'a/y/2', 'a/y.z', 'a0', 'a=', 'aZ', 'a_/-', 'aa', 'b/c', 'B'];
    await Promise.all(names.map((name) => bucket().put(`${f}/${name}`, name)));
    await bucket().put(`${f}0`, 'beside');
    const all = names.map((name) => `${f}/${name}`).sort();
    expect(await keys(`${f}/`)).toEqual(all);
    expect(await keys(f)).toEqual([...all, `${f}0`]);
    expect(await keys(`${f}/a/y`)).toEqual([`${f}/a/y.z`, `${f}/a/y/1`, `${f}/a/y/2`]);
    expect(await keys(`${f}/a/y/`)).toEqual([`${f}/a/y/1`, `${f}/a/y/2`]);
    expect(await keys(`${f}/a.b`)).toEqual([`${f}/a.b`]);
    expect(await keys(`${f}/nothing`)).toEqual([]);
    expect(await keys(`${f}/nothing/at/all`)).toEqual([]);
    for (const after of [...all, `${f}/a/`, `${f}/a/y`, `${f}/a/y/`, `${f}/a/zz`, `${f}/0`, `${f}/zz`, '0', 'zz', '']) {
      expect(await keys(`${f}/`, after)).toEqual(all.filter((key) => key > after));
    }
  });

  test('lists more than a page, and stops when asked to', async () => {
    const f = folder();
    const all = Array.from({ length: 1_100 }, (_, i) => `${f}/p${String(i).padStart(5, '0')}`);
    for (let i = 0; i < all.length; i += 50) {
      await Promise.all(all.slice(i, i + 50).map((key) => bucket().put(key, '')));
    }
    expect(await keys(`${f}/`)).toEqual(all);
    expect(await keys(`${f}/p`, all[1_050])).toEqual(all.slice(1_051));
    const first: ObjectInfo[] = [];
    for await (const info of bucket().list(f)) if (first.push(info) === 3) break;
    expect(first.map((info) => info.key)).toEqual(all.slice(0, 3));
  });

  test('lists any set of keys as a sorted list would', async () => {
    const segment = fc.string({ unit: fc.constantFrom(...'aaB0.=+-_'), minLength: 1, maxLength: 3 });
    const key = fc
      .array(
        segment.filter((name) => name !== '.' && name !== '..'),
        { minLength: 1, maxLength: 4 },
      )
      .map((segments) => segments.join('/'));
    const sets = fc.uniqueArray(key, { maxLength: 14 }).map(withoutFolders);
    await fc.assert(
      fc.asyncProperty(sets, fc.nat(12), fc.option(key, { nil: undefined }), async (names, cut, after) => {
        const f = folder();
        await Promise.all(names.map((name) => bucket().put(`${f}/${name}`, '')));
        const prefix = `${f}/${(names[0] ?? '').slice(0, cut)}`;
        const from = after === undefined ? undefined : `${f}/${after}`;
        const expected = names
          .map((name) => `${f}/${name}`)
          .filter((name) => name.startsWith(prefix) && (from === undefined || name > from))
          .sort();
        expect(await keys(prefix, from)).toEqual(expected);
      }),
      { numRuns: runs },
    );
  });
}

/** All that an iterable gives. */
export async function arrayOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const array: T[] = [];
  for await (const item of items) array.push(item);
  return array;
}

/** The keys of a listing. */
export async function keysOf(bucket: Bucket, prefix: string, after?: string): Promise<string[]> {
  const found = await arrayOf(bucket.list(prefix, after === undefined ? {} : { after }));
  return found.map((info) => info.key);
}

/** Without the keys below which other keys are: no adapter has to store an object and a folder of one name. */
function withoutFolders(keys: string[]): string[] {
  return keys.filter((key) => !keys.some((other) => other.startsWith(`${key}/`)));
}
