import type { BatchEstimate } from '@batchmill/contract';
import { expect, test } from 'vitest';
import { inWords } from './estimate.ts';

const estimate: BatchEstimate = {
  object: 'batch.estimate',
  input_file_id: 'file-1',
  endpoint: '/v1/ocr',
  items: 4_000,
  wrong_lines: 0,
  tokens: 7_296_000,
  pages: 48_000,
  audio_minutes: 0,
  measured: true,
  now: { workers: 2, seconds: 93_780 },
  full: { workers: 8, seconds: 1_460 },
  waiting_seconds: 300,
};

test('an estimate in words', () => {
  expect(inWords(estimate).split('\n')).toEqual([
    'items          4,000',
    'tokens         about 7,296,000',
    'pages          about 48,000',
    'time           1 d 2 h with 2 workers, now, of which 5 min behind earlier work',
    '               24 min at full scale, with 8 workers',
    '',
  ]);
});

test('what is a guess, what is wrong, and that nobody is there yet, is said', () => {
  const words = inWords({
    ...estimate,
    wrong_lines: 3,
    audio_minutes: 90.5,
    measured: false,
    now: { workers: 0, seconds: 59 },
    full: { workers: 1, seconds: 59 },
    waiting_seconds: 0,
  });
  expect(words).toContain('wrong lines    3: a batch of this file fails; submit it to see which lines');
  expect(words).toContain('audio          about 90.5 minutes');
  expect(words).toContain('59 s with one worker, started now (a guess: no worker has measured such work yet)');
  expect(words).toContain('59 s at full scale, with 1 worker\n');
  expect(inWords({ ...estimate, now: { workers: null, seconds: 60 } })).toContain('time           1 min now');
});
