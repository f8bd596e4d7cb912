import { expect, test } from 'vitest';
import { Holds } from './holds.ts';
import type { StopSignals } from './run-shard.ts';

const never = new AbortController().signal;
const worker = { admit: never, run: never };

/** A run that goes on until its signal of this kind fires, and says what happens. */
function until(kind: keyof StopSignals, name: string, log: string[]) {
  return async (stop: StopSignals) => {
    log.push(`${name} begins`);
    if (!stop[kind].aborted) await new Promise((done) => stop[kind].addEventListener('abort', done));
    log.push(`${name} ends`);
  };
}

test('a shard that is given again begins when its earlier run has handed in what it has', async () => {
  const holds = new Holds(worker, 60_000);
  const log: string[] = [];
  const first = holds.run('a.0', never, until('admit', 'first', log));
  const other = holds.run('a.1', never, async () => void log.push('other'));
  const second = holds.run('a.0', never, async () => void log.push('second'));
  await Promise.all([first, other, second]);
  expect(log).toEqual(['first begins', 'other', 'first ends', 'second']);
});

test('of three that are given at once, one runs at a time', async () => {
  const holds = new Holds(worker, 60_000);
  let running = 0;
  let most = 0;
  const work = async () => {
    most = Math.max(most, ++running);
    await new Promise((done) => setTimeout(done, 5));
    running--;
  };
  await Promise.all([1, 2, 3].map(() => holds.run('a.0', never, work)));
  expect(most).toBe(1);
});

test('one that fails makes way as well, and its failure is its own', async () => {
  const holds = new Holds(worker, 60_000);
  const broken = holds.run('a.0', never, () => Promise.reject(new Error('the disk is full')));
  const next = holds.run('a.0', never, async () => {});
  await expect(broken).rejects.toThrow('the disk is full');
  await expect(next).resolves.toBeUndefined();
});

test('a shard that is lost takes no further items; those that run are stopped after a while', async () => {
  const log: string[] = [];
  const lost = new AbortController();
  const holds = new Holds(worker, 20);
  const admitted = holds.run('a.0', lost.signal, until('admit', 'admit', log));
  const running = holds.run('a.1', lost.signal, until('run', 'run', log));
  lost.abort();
  await admitted;
  expect(log).toEqual(['admit begins', 'run begins', 'admit ends']);
  await running;
  expect(log.at(-1)).toBe('run ends');
});

test('when the worker stops, so do all', async () => {
  const stop = new AbortController();
  const holds = new Holds({ admit: stop.signal, run: never }, 60_000);
  const log: string[] = [];
  const held = holds.run('a.0', never, until('admit', 'it', log));
  stop.abort();
  await held;
  expect(log).toEqual(['it begins', 'it ends']);
});
