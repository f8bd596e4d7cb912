import { ENDPOINTS } from '@batchmill/contract';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { estimate } from './estimate.ts';

const CHAT = '/v1/chat/completions';

test('pictures and recordings take the media lane, whatever the length of the line', () => {
  const user = (content: unknown) => ({ messages: [{ role: 'user', content }] });
  expect(estimate(CHAT, user('hello'), 400).lane).toBe('text');
  expect(estimate(CHAT, user([{ type: 'text', text: 'x' }]), 400).lane).toBe('text');
  expect(estimate(CHAT, user([{ type: 'image_url' }]), 10_000_000)).toMatchObject({ lane: 'media' });
  expect(estimate(CHAT, user([{ type: 'image_url' }]), 10_000_000).tokens).toBeLessThan(1_000);
  expect(estimate(CHAT, user([{ type: 'input_audio' }]), 400).lane).toBe('media');
});

test('a longer prompt and a longer answer cost more', () => {
  expect(estimate(CHAT, {}, 8_000).tokens).toBeGreaterThan(estimate(CHAT, {}, 80).tokens);
  expect(estimate(CHAT, { max_tokens: 4_000 }, 80).tokens).toBeGreaterThan(
    estimate(CHAT, { max_tokens: 10 }, 80).tokens,
  );
});

test('no body makes it throw or give anything but a positive number', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...ENDPOINTS),
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.nat(),
      (url, body, bytes) => {
        expect(estimate(url, body, bytes).tokens).toBeGreaterThan(0);
      },
    ),
  );
});

test('documents and recordings take the media lane, and cost what their pages and minutes do', () => {
  const document = { document: { type: 'file', file_id: 'file-1' } };
  const whole = estimate('/v1/ocr', document, 100);
  expect(whole.lane).toBe('media');
  expect(estimate('/v1/ocr', { ...document, pages: [0, 1] }, 100).tokens).toBeLessThan(whole.tokens);
  expect(estimate('/v1/ocr', { document: { type: 'image_url', image_url: 'x' } }, 100).tokens).toBeLessThan(
    whole.tokens,
  );
  const ranges = (pages: string) => estimate('/v1/ocr', { ...document, pages }, 100).tokens;
  expect(ranges('0-2, 7')).toBe(estimate('/v1/ocr', { ...document, pages: [0, 1, 2, 7] }, 100).tokens);
  expect(ranges('0-999999999999')).toBe(ranges('0-4999'));
  expect(ranges('7-5,x')).toBe(2 * ranges('1'));
  expect(estimate('/v1/audio/transcriptions', {}, 100)).toMatchObject({ lane: 'media' });
});
