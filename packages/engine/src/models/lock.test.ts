import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { withLock } from './lock.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lock-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});
const never = new AbortController().signal;

it('lets one in at a time, and leaves nothing behind', async () => {
  const path = join(directory, 'lock');
  let inside = 0;
  let most = 0;
  const work = async () => {
    inside += 1;
    most = Math.max(most, inside);
    await new Promise((done) => setTimeout(done, 20));
    inside -= 1;
  };
  await Promise.all([1, 2, 3].map(() => withLock(path, never, work)));
  expect(most).toBe(1);
  expect(readdirSync(directory)).toEqual([]);
});

it('takes over the lock of a process that died', async () => {
  const path = join(directory, 'lock');
  writeFileSync(path, 'gone');
  const longAgo = new Date(Date.now() - 60_000);
  utimesSync(path, longAgo, longAgo);
  expect(await withLock(path, never, async () => 'in')).toBe('in');
});

it('waits no longer than the signal says', async () => {
  const path = join(directory, 'lock');
  writeFileSync(path, 'alive');
  await expect(withLock(path, AbortSignal.timeout(50), async () => 'in')).rejects.toThrow();
});

it('is given back when the work fails', async () => {
  const path = join(directory, 'lock');
  await expect(withLock(path, never, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(readdirSync(directory)).toEqual([]);
});
