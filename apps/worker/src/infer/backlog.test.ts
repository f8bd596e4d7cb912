import { expect, test } from 'vitest';
import { Backlog } from './backlog.ts';
import { keepTaking } from './taking.ts';

const shard = (batchId: string, shard = 0, items = 10, tenant = 'acme') => ({
  tenant,
  batchId,
  shard,
  lane: 'text' as const,
  items,
});

test('a worker wants shards until it has enough to begin, and of each lane one at least', () => {
  const backlog = new Backlog(12);
  expect(backlog.wants('text')).toBe(true);
  const one = backlog.take(shard('a', 0));
  expect(backlog.wants('text')).toBe(true);
  const two = backlog.take(shard('a', 1));
  expect({ text: backlog.wants('text'), media: backlog.wants('media') }).toEqual({ text: false, media: true });
  one.skip(8);
  expect(backlog.wants('text')).toBe(false);
  two.began();
  expect(backlog.wants('text')).toBe(true);
  // What one has is never counted twice.
  one.skip(100);
  one.end();
  two.end();
  two.end();
  backlog.take(shard('b', 0, 12));
  expect(backlog.wants('text')).toBe(false);
});

test('with enough to do, a shard is welcome if nothing of its batch is here, up to four batches of a tenant', () => {
  const backlog = new Backlog(1);
  const first = backlog.take(shard('a'));
  expect(backlog.welcomes(shard('a', 1))).toBe(false);
  for (const batch of ['b', 'c', 'd']) {
    expect(backlog.welcomes(shard(batch))).toBe(true);
    backlog.take(shard(batch));
  }
  expect(backlog.welcomes(shard('e'))).toBe(false);
  expect(backlog.welcomes(shard('e', 0, 10, 'other'))).toBe(true);
  first.end();
  expect(backlog.welcomes(shard('e'))).toBe(true);
  for (let i = 0; i < 61; i++) backlog.take(shard('x', i, 1, `tenant-${i}`));
  expect(backlog.welcomes(shard('y', 0, 10, 'other'))).toBe(false);
});

test('it takes what it wants, what is welcome, and stops when it is told to', async () => {
  const queue = [shard('a', 0), shard('a', 1), shard('b', 0), shard('a', 2)];
  const backlog = new Backlog(5);
  const taken: string[] = [];
  const ends: (() => void)[] = [];
  const take = async () => {
    const next = queue.shift();
    if (next === undefined) return false;
    taken.push(`${next.batchId}.${next.shard}`);
    ends.push(backlog.take(next).end);
    return true;
  };
  const stop = new AbortController();
  const takeNext = async () => {
    if (queue.length === 0) await new Promise((done) => setTimeout(done, 5));
    return take();
  };
  const taking = keepTaking(
    'text',
    { take, takeNext },
    { nextShard: async () => queue[0] ?? null },
    backlog,
    stop.signal,
  );
  await expect.poll(() => taken).toEqual(['a.0']);
  // The second of the same batch stands before the other batch; when it is gone, that one is welcome.
  queue.shift();
  await expect.poll(() => taken).toEqual(['a.0', 'b.0']);
  for (const end of ends) end();
  await expect.poll(() => taken).toEqual(['a.0', 'b.0', 'a.2']);
  stop.abort();
  await taking;
});
