import fc from 'fast-check';
import { expect, test } from 'vitest';
import { estimate } from './estimate.ts';

test('pictures and recordings take the media lane, whatever the length of the line', () => {
  const user = (content: unknown) => ({ messages: [{ role: 'user', content }] });
  expect(estimate(user('hello'), 400).lane).toBe('text');
  expect(estimate(user([{ type: 'text', text: 'x' }]), 400).lane).toBe('text');
  expect(estimate(user([{ type: 'image_url' }]), 10_000_000)).toMatchObject({ lane: 'media' });
  expect(estimate(user([{ type: 'image_url' }]), 10_000_000).tokens).toBeLessThan(1_000);
  expect(estimate(user([{ type: 'input_audio' }]), 400).lane).toBe('media');
});

test('a longer prompt and a longer answer cost more', () => {
  expect(estimate({}, 8_000).tokens).toBeGreaterThan(estimate({}, 80).tokens);
  expect(estimate({ max_tokens: 4_000 }, 80).tokens).toBeGreaterThan(estimate({ max_tokens: 10 }, 80).tokens);
});

test('no body makes it throw or give anything but a positive number', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(), (body, bytes) => {
      expect(estimate(body, bytes).tokens).toBeGreaterThan(0);
    }),
  );
});
