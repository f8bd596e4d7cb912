import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { controlTokenGuard } from './control-tokens.ts';

const tokens = ['<|turn>', '<turn|>', '<|"|>', '<a<b>c>', '<b>', '[INST]', '</s>', '<eos>', '\n\n', '▁', '🙂🙂'];
const guard = controlTokenGuard(tokens, '<__m__>');

describe('control tokens', () => {
  it('are broken up behind their first character, wherever they overlap', () => {
    expect(guard.breakUp('x<|turn>y<a<b>c>z [inst]🙂🙂')).toBe(
      'x<\u2060|turn>y<\u2060a<\u2060b>c>z [\u2060inst]🙂\u2060🙂',
    );
    expect(guard.breakUp('<__m__>')).toBe('<\u2060__m__>');
  });

  it('that are blank or one character are text', () => {
    expect(guard.breakUp('a\n\nb▁')).toBe('a\n\nb▁');
  });

  it('are absent from any text after, and the text comes back whole', () => {
    const pieces = fc.oneof(fc.constantFrom(...tokens, '<', '>', '|'), fc.string({ unit: 'binary', maxLength: 3 }));
    fc.assert(
      fc.property(fc.array(pieces), (parts) => {
        const text = parts.join('').replaceAll('\u2060', '');
        const safe = guard.breakUp(text);
        for (const token of tokens) {
          if (token.length > 1 && token !== '\n\n') expect(safe.toLowerCase()).not.toContain(token.toLowerCase());
        }
        // A token inside another stays broken: no real vocabulary has such a pair.
        if (!safe.includes('<\u2060b>')) expect(guard.restore(safe)).toBe(text);
      }),
    );
  });

  it('of a real vocabulary cost little', () => {
    const many = controlTokenGuard(
      [...tokens, ...Array.from({ length: 6242 }, (_, number) => `<unused${number}>`)],
      '<__m__>',
    );
    const text = 'a < b, <div>, <unused>, <unused9999> and some words. '.repeat(20_000);
    const started = performance.now();
    expect(many.breakUp(text)).toBe(text);
    expect(many.breakUp('<unused77>')).toBe('<\u2060unused77>');
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
