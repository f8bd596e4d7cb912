import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CommandError } from '../errors.ts';
import { findSources } from './sources.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'batchmill-sources-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const options = (except = '/nowhere') => ({ extensions: new Set(['pdf', 'png']), called: 'documents', except });
async function write(path: string, content = 'x'): Promise<void> {
  await mkdir(join(root, path, '..'), { recursive: true });
  await writeFile(join(root, path), content);
}

test('a folder is walked to the bottom, in order, and what is passed over is said', async () => {
  for (const path of [
    'b.pdf',
    'a/2.PNG',
    'a/1.pdf',
    'a/deep/er/x.pdf',
    'notes.txt',
    '.hidden.pdf',
    '.git/x.pdf',
    'out/b.pdf',
  ])
    await write(path);
  await symlink(join(root, 'b.pdf'), join(root, 'link.pdf'));
  await symlink(root, join(root, 'a', 'circle'));
  await symlink(join(root, 'gone'), join(root, 'broken.pdf'));
  const found = await findSources(root, options(join(root, 'out')));
  expect(found.root).toBe(root);
  expect(found.sources.map(({ path }) => path)).toEqual(['a/1.pdf', 'a/2.PNG', 'a/deep/er/x.pdf', 'b.pdf', 'link.pdf']);
  expect(found.sources[0]?.at).toEqual({ file: join(root, 'a/1.pdf') });
  expect(new Map(found.skipped.map(({ path, reason }) => [path, reason]))).toEqual(
    new Map([
      ['notes.txt', 'not one of documents'],
      ['.hidden.pdf', 'hidden'],
      ['.git/', 'hidden'],
      ['a/circle', 'a link to a folder'],
      ['broken.pdf', expect.stringContaining('ENOENT')],
    ]),
  );
});

test('one file is taken whatever it is called', async () => {
  await write('scan.dat');
  const found = await findSources(join(root, 'scan.dat'), options());
  expect(found).toMatchObject({ root, sources: [{ path: 'scan.dat', bytes: 1 }], skipped: [] });
});

test('the version changes with the size and with the time', async () => {
  const version = async () => (await findSources(root, options())).sources[0]?.version;
  await write('a.pdf');
  const first = await version();
  expect(await version()).toBe(first);
  await utimes(join(root, 'a.pdf'), 1, 1);
  const second = await version();
  expect(second).not.toBe(first);
  await write('a.pdf', 'longer');
  await utimes(join(root, 'a.pdf'), 1, 1);
  expect(await version()).not.toBe(second);
});

test('nothing there, or nothing of the kind, is said', async () => {
  await expect(findSources(join(root, 'none'), options())).rejects.toThrow(CommandError);
  await write('notes.txt');
  await expect(findSources(root, options())).rejects.toThrow(/no documents at .*notes\.txt: not one of documents/);
});
