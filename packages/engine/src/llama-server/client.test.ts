import { expect, test } from 'vitest';
import { refusal, wellFormed } from './client.ts';
import { samplingSettings } from './settings.ts';

const error = (fields: Record<string, unknown>) => ({ error: fields });

test.for([
  [400, { message: 'Failed to load image or audio file' }, true, 'bad_media'],
  [400, { message: 'Failed to tokenize prompt' }, true, 'bad_media'],
  [400, { message: 'Failed to tokenize prompt' }, false, 'bad_request'],
  [400, { message: "Field 'json_schema': no" }, true, 'bad_request'],
  [400, { message: 'x', type: 'exceed_context_size_error', n_prompt_tokens: 9, n_ctx: 8 }, false, 'context_overflow'],
  [500, { message: 'failed to process mtmd chunk' }, true, 'engine_failed'],
  [501, { message: 'not supported' }, false, 'unsupported'],
  [503, { message: 'Loading model' }, false, 'engine_failed'],
] as const)('%i %o (media: %s) is %s', ([status, body, media, code]) => {
  expect(refusal(status, error(body), media).code).toBe(code);
});

test('an answer that is no error object is a failure of the engine', () => {
  expect(refusal(502, 'Bad gateway', false).code).toBe('engine_failed');
});

test('seeds of any size fit 32 bits and never mean "random"', () => {
  const seed = (value: number) => samplingSettings({ temperature: 1, topP: 1, topK: 0, seed: value }).seed;
  expect([seed(0), seed(7), seed(-1), seed(0xffff_ffff), seed(2 ** 40 + 5)]).toEqual([0, 7, 0xffff_fffe, 0, 261]);
});

test('a bias of −100 forbids', () => {
  const settings = samplingSettings({ temperature: 1, topP: 1, topK: 0, logitBias: { 5: -100, 6: 2.5 } });
  expect(settings.logit_bias).toEqual([
    [5, false],
    [6, 2.5],
  ]);
});

test('half surrogate pairs are replaced, whole ones and backslashes stay', () => {
  const there = (value: unknown) => JSON.parse(wellFormed(JSON.stringify(value)));
  expect(there({ 'k\ud800': ['a\udfffb', '\\\ud9ab'] })).toEqual({ 'k\ufffd': ['a\ufffdb', '\\\ufffd'] });
  const fine = ['😀', '\\ud800', '\\\\ud800', 'd800'];
  expect(there(fine)).toEqual(fine);
});
