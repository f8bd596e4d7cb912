import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Bucket, openBucket } from '@batchmill/bucket';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { kindOf, SpeedBook, type SpeedFact, speedsOf, sweepSpeeds, UNMEASURED, writeSpeed } from './speeds.ts';

let folder: string;
let bucket: Bucket;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-speeds-'));
  bucket = await openBucket(pathToFileURL(folder).href);
});
afterEach(async () => {
  await bucket.close();
  await rm(folder, { recursive: true });
});

const chat = kindOf('text', '/v1/chat/completions');
const ocr = kindOf('media', '/v1/ocr');
const fact = (kinds: SpeedFact['kinds'], over: Partial<SpeedFact> = {}): SpeedFact => ({
  at: 1_000,
  model: 'm',
  slots: 4,
  kinds,
  ...over,
});

test('the speed of a worker is that of all its slots', () => {
  const speeds = speedsOf([fact({ [chat]: { items: 10, tokens: 1_000, slotSeconds: 20 } })]);
  expect(speeds.of(chat)).toBe(200);
  expect(speeds).toMatchObject({ measured: true });
  expect(speeds.knows(chat)).toBe(true);
});

test('of workers with different slots each counts with its own', () => {
  const kinds = { [chat]: { items: 1, tokens: 100, slotSeconds: 10 } };
  expect(speedsOf([fact(kinds), fact(kinds, { slots: 8 })]).of(chat)).toBe(60);
});

test('a kind that nobody did takes the speed at all work; without any, a guess', () => {
  const speeds = speedsOf([fact({ [chat]: { items: 1, tokens: 300, slotSeconds: 10 } })]);
  expect(speeds.of(ocr)).toBe(120);
  expect(speeds.knows(ocr)).toBe(false);
  expect(speedsOf([]).of(ocr)).toBe(UNMEASURED);
  expect(speedsOf([])).toMatchObject({ measured: false });
  // Slots that were at a long item which is not done say nothing yet.
  expect(speedsOf([fact({ [ocr]: { items: 0, tokens: 0, slotSeconds: 50 } })]).of(ocr)).toBe(UNMEASURED);
});

test('the newest count, as far back as twenty minutes of slots', () => {
  const of = (tokens: number, slotSeconds: number) => fact({ [chat]: { items: 1, tokens, slotSeconds } });
  expect(speedsOf([of(1_200, 1_200), of(999_999, 60)]).of(chat)).toBe(4);
});

test('they are read back from the bucket, of the model that is served', async () => {
  const kinds = { [chat]: { items: 1, tokens: 100, slotSeconds: 10 } };
  await writeSpeed(bucket, fact(kinds, { at: 5 }), 'aaaa', 0);
  await writeSpeed(bucket, fact({ [chat]: { items: 1, tokens: 900, slotSeconds: 10 } }, { model: 'other' }), 'bbbb', 0);
  expect((await new SpeedBook(bucket, 'm').read()).of(chat)).toBe(40);
  expect((await new SpeedBook(bucket, null).read()).of(chat)).toBe(200);
  expect((await new SpeedBook(bucket, 'new').read()).measured).toBe(false);
  await bucket.put('speeds/000000000000-cccc-000000.json', '{"of":"a later version"}');
  const book = new SpeedBook(bucket, 'm');
  expect((await book.read()).of(chat)).toBe(40);
  await writeSpeed(bucket, fact(kinds, { at: 9, slots: 2 }), 'aaaa', 1);
  expect((await book.read()).of(chat)).toBe(30);
});

test('the oldest are deleted', async () => {
  for (let at = 0; at < 7; at++) await writeSpeed(bucket, fact({}, { at }), 'aaaa', at);
  await sweepSpeeds(bucket, 5);
  const left: string[] = [];
  for await (const { key } of bucket.list('speeds/')) left.push(key.slice(-11));
  expect(left).toEqual([6, 5, 4, 3, 2].map((n) => `00000${n}.json`));
});
