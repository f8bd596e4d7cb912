import fc from 'fast-check';
import { expect, it } from 'vitest';
import { MAX_TOKENS, MIN_TOKENS, sizeWithin, TOKEN_SIDE } from './budget.ts';

/** llama.cpp's own formula, `calc_size_preserved_ratio` with align 48, for pictures of usual shape. */
function engineSize(width: number, height: number, maxTokens: number): { width: number; height: number } {
  const pixels = (tokens: number) => tokens * TOKEN_SIDE ** 2;
  let w = Math.max(TOKEN_SIDE, Math.round(width / TOKEN_SIDE) * TOKEN_SIDE);
  let h = Math.max(TOKEN_SIDE, Math.round(height / TOKEN_SIDE) * TOKEN_SIDE);
  if (w * h > pixels(maxTokens)) {
    const beta = Math.sqrt((width * height) / pixels(maxTokens));
    w = Math.max(TOKEN_SIDE, Math.floor(width / beta / TOKEN_SIDE) * TOKEN_SIDE);
    h = Math.max(TOKEN_SIDE, Math.floor(height / beta / TOKEN_SIDE) * TOKEN_SIDE);
  } else if (w * h < pixels(MIN_TOKENS)) {
    const beta = Math.sqrt(pixels(MIN_TOKENS) / (width * height));
    w = Math.ceil((width * beta) / TOKEN_SIDE) * TOKEN_SIDE;
    h = Math.ceil((height * beta) / TOKEN_SIDE) * TOKEN_SIDE;
  }
  return { width: w, height: h };
}

it('knows the sizes seen in the engine', () => {
  expect(sizeWithin(900, 300, 280)).toEqual({ width: 912, height: 288 });
  expect(sizeWithin(3000, 2000, 280)).toEqual({ width: 960, height: 624 });
  expect(sizeWithin(2480, 3508, 1120)).toEqual({ width: 1344, height: 1872 });
  expect(sizeWithin(1, 1, 280)).toEqual({ width: 432, height: 432 });
  expect(sizeWithin(30_000, 1, 1120)).toEqual({ width: 30_000, height: 48 });
});

const side = fc.integer({ min: 1, max: 60_000 });
const budget = fc.integer({ min: MIN_TOKENS, max: MAX_TOKENS });

it('never goes over the budget, whatever the shape', () => {
  fc.assert(
    fc.property(side, side, budget, (w, h, tokens) => {
      const size = sizeWithin(w, h, tokens);
      expect(size.width % TOKEN_SIDE).toBe(0);
      expect(size.height % TOKEN_SIDE).toBe(0);
      expect(Math.min(size.width, size.height)).toBeGreaterThanOrEqual(TOKEN_SIDE);
      expect((size.width * size.height) / TOKEN_SIDE ** 2).toBeLessThanOrEqual(tokens);
    }),
  );
});

it('is what the engine chooses, so that it resizes nothing again', () => {
  const usual = fc.record({ w: side, h: side }).filter(({ w, h }) => Math.max(w, h) / Math.min(w, h) < 30);
  fc.assert(
    fc.property(usual, fc.integer({ min: 140, max: MAX_TOKENS }), ({ w, h }, tokens) => {
      const size = sizeWithin(w, h, tokens);
      expect(size).toEqual(engineSize(w, h, tokens));
      const tokensUsed = (size.width * size.height) / TOKEN_SIDE ** 2;
      if (tokensUsed >= MIN_TOKENS) expect(engineSize(size.width, size.height, tokens)).toEqual(size);
    }),
  );
});
