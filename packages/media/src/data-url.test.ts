import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseBase64, parseDataUrl } from './data-url.ts';

const MAX = 1_000;
const text = (url: string) => Buffer.from(parseDataUrl(url, MAX).bytes).toString('latin1');
const error = (code: string) => expect.objectContaining({ status: 400, code });

describe('parseDataUrl', () => {
  it('reads what RFC 2397 shows', () => {
    expect(parseDataUrl('data:,A%20brief%20note', MAX)).toEqual({
      mediaType: 'text/plain',
      bytes: Buffer.from('A brief note'),
    });
    expect(parseDataUrl('DATA:Image/PNG;BASE64,aGk=', MAX)).toEqual({
      mediaType: 'image/png',
      bytes: Buffer.from('hi'),
    });
    expect(text('data:text/plain;charset=iso-8859-7,%be%fa%be')).toBe('\xbe\xfa\xbe');
    expect(text('data:image/svg+xml;charset=utf-8;base64,aGk')).toBe('hi');
    expect(text('data:image/png;base64,aGk%3D')).toBe('hi');
    expect(text('data:image/png;base64,')).toBe('');
  });

  it.each([
    'data:image/png;base64',
    'data:',
    'http://x/,',
    'data:image;base64,aGk=',
    'data:im age/png;base64,aGk=',
    'data:text/plain,%4',
    'data:text/plain,%zz',
    'data:text/plain,ü',
    'data:text/plain,a b',
    `data:text/plain;x=${'y'.repeat(1_000)},hi`,
  ])('refuses %s', (url) => {
    expect(() => parseDataUrl(url, MAX)).toThrow(error('invalid_data_url'));
  });

  it('is bounded before it decodes', () => {
    expect(() => parseDataUrl(`data:a/b;base64,${'A'.repeat(1_336)}`, MAX)).toThrow(error('media_too_large'));
    expect(() => parseDataUrl(`data:a/b,${'A'.repeat(1_001)}`, MAX)).toThrow(error('media_too_large'));
    expect(parseDataUrl(`data:a/b,${'A'.repeat(1_000)}`, MAX).bytes).toHaveLength(1_000);
  });

  it('gives back any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const b = Buffer.from(bytes);
        const percent = [...b].map((x) => `%${x.toString(16).padStart(2, '0')}`).join('');
        for (const url of [
          `data:a/b;base64,${b.toString('base64')}`,
          `data:a/b;base64,${encodeURIComponent(b.toString('base64'))}`,
          `data:a/b;base64,${b.toString('base64url')}`,
          `data:a/b,${percent}`,
        ]) {
          expect(Buffer.from(parseDataUrl(url, MAX).bytes)).toEqual(b);
        }
      }),
    );
  });
});

describe('parseBase64', () => {
  it('refuses every letter that is not base64, wherever it is', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_';
    const foreign = fc.string({ minLength: 1, maxLength: 1, unit: 'binary' }).filter((c) => !alphabet.includes(c));
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 3, maxLength: 60 }),
        foreign,
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        (bytes, c, at) => {
          const whole = Buffer.from(bytes).toString('base64').replaceAll('=', '');
          const i = Math.floor(at * whole.length);
          expect(() => parseBase64(whole.slice(0, i) + c + whole.slice(i), MAX)).toThrow(error('invalid_base64'));
        },
      ),
    );
  });

  it.each(['a', 'aGk==', 'aGkx=', '====', 'aG\nk=', 'aGk=aGk='])('refuses %j', (s) => {
    expect(() => parseBase64(s, MAX)).toThrow(error('invalid_base64'));
  });

  it('takes 10 MB in a moment', () => {
    const bytes = randomBytes(10 * 2 ** 20);
    const url = `data:image/png;base64,${bytes.toString('base64')}`;
    const before = process.cpuUsage();
    const parsed = parseDataUrl(url, 2 ** 24).bytes;
    expect(process.cpuUsage(before).user).toBeLessThan(300_000);
    expect(Buffer.compare(parsed, bytes)).toBe(0);
  });
});
