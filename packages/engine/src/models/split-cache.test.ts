import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TEST_PAIR, writeCombined } from '../../../../test/models/combined.ts';
import { readGguf } from '../gguf/index.ts';
import { splitIfCombined } from './split-cache.ts';

let folder: string;
let source: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'split-cache-'));
  source = join(folder, 'one file.gguf');
  await writeCombined(source, 'ollama');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});
const cache = () => join(folder, 'cache');
const both = async () => {
  const pair = await splitIfCombined(source, cache());
  if (pair === null) throw new Error('not combined');
  return pair;
};
const inode = (path: string) => statSync(path).ino;

test('a combined file is split once', async () => {
  const pair = await both();
  expect(readGguf(pair.model).tensors).toHaveLength(readGguf(TEST_PAIR.model).tensors.length);
  expect(readdirSync(dirname(pair.model)).sort()).toEqual(['mmproj.gguf', 'split.json', 'text.gguf']);
  const before = inode(pair.model);
  expect(await both()).toEqual(pair);
  expect(inode(pair.model)).toBe(before);
});

test('processes that want it at the same time split it once', async () => {
  let splits = 0;
  const onProgress = (written: number, total: number) => {
    if (written === total) splits += 1;
  };
  await Promise.all([1, 2, 3].map(() => splitIfCombined(source, cache(), { onProgress })));
  expect(splits).toBe(1);
});

test('it is split anew when the file has changed, or the parts are not whole', async () => {
  const { model } = await both();
  const made = () => inode(model);
  const again = async (what: () => void) => {
    const before = made();
    what();
    await both();
    return made() !== before;
  };
  expect(await again(() => utimesSync(source, 1, 1))).toBe(true);
  expect(await again(() => truncateSync(model, 100))).toBe(true);
  expect(await again(() => writeFileSync(join(dirname(model), 'split.json'), '{"rules":'))).toBe(true);
  expect(await again(() => {})).toBe(false);
});

test('other model files are left as they are', async () => {
  copyFileSync(TEST_PAIR.model, source);
  expect(await splitIfCombined(source, cache())).toBeNull();
  expect(await splitIfCombined(TEST_PAIR.mmproj, cache())).toBeNull();
  expect(readdirSync(folder)).toEqual(['one file.gguf']);
});

test('where nothing can be written, that is said', async () => {
  writeFileSync(cache(), 'a file');
  await expect(both()).rejects.toMatchObject({ code: 'model_unusable' });
});
