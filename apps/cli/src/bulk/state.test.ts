import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CommandError } from '../errors.ts';
import { StateFile } from './state.ts';

let out: string;
beforeEach(async () => {
  out = await mkdtemp(join(tmpdir(), 'batchmill-state-'));
});
afterEach(() => rm(out, { recursive: true, force: true }));

test('what was saved is there again, also after saves at the same time', async () => {
  const file = await StateFile.open(out, 'ocr', '/scans');
  file.state.batch = { id: 'batch_1', service: null };
  const saves = [file.save(), file.save()];
  file.state.sources['a.pdf'] = { name: 'a' };
  await Promise.all([...saves, file.save()]);
  await file.close();
  const again = await StateFile.open(out, 'ocr', '/scans');
  expect(again.state).toEqual(file.state);
  expect(await readdir(again.folder)).toEqual(expect.not.arrayContaining([expect.stringMatching(/^\.state/)]));
  await again.close();
});

test('a source is done while its outputs are there, in the same version with the same options', async () => {
  const file = await StateFile.open(out, 'ocr', '/scans');
  const result = { version: '1', options: 'o', failed: false, outputs: ['a.md'], problems: [] };
  file.state.sources['a.pdf'] = { name: 'a', result };
  expect(await file.isDone('a.pdf', '1', 'o')).toBe(false);
  await writeFile(join(out, 'a.md'), '');
  expect(await file.isDone('a.pdf', '1', 'o')).toBe(true);
  expect(await file.isDone('a.pdf', '2', 'o')).toBe(false);
  expect(await file.isDone('a.pdf', '1', 'p')).toBe(false);
  expect(await file.isDone('b.pdf', '1', 'o')).toBe(false);
  result.failed = true;
  expect(await file.isDone('a.pdf', '1', 'o')).toBe(false);
  await file.close();
});

test('a folder belongs to one command and one source', async () => {
  const file = await StateFile.open(out, 'ocr', '/scans');
  await file.save();
  await file.close();
  await expect(StateFile.open(out, 'ocr', '/others')).rejects.toThrow(/ocr' made of \/scans/);
  await expect(StateFile.open(out, 'transcribe', '/scans')).rejects.toThrow(CommandError);
  await writeFile(join(out, '.batchmill', 'state.json'), '{"version":1');
  await expect(StateFile.open(out, 'ocr', '/scans')).rejects.toThrow(/cannot be read: delete it/);
});
