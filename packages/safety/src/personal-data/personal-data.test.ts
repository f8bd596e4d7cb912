import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { personalData } from './personal-data.ts';
import { KINDS } from './span.ts';
import { judgedBy, redacted } from './test-filter.ts';

describe('personalData', () => {
  it.each([
    // E-mail
    ['Write to joe.doe+news@mail.example.co.uk.', 'Write to [email].'],
    ['<joe@example.com>, "ann@example.org"', '<[email]>, "[email]"'],
    ['mailto:joe@example.com?subject=x', 'mailto:[email]?subject=x'],
    ['**joe@example.com**', '**[email]**'],
    ['john\\_doe@example.com', '[email]'],
    ['jürgen@müller.de, 用户@例子.广告', '[email], [email]'],
    ['joe@example.com😀, 😀joe@example.com', '[email]😀, 😀[email]'],
    ['邮箱是joe@example.com请写信', '邮箱是[email]请写信'],
    ['𝒿𝑜𝑒@example.com', '[email]'],
    ['joe@xn--mller-kva.xn--p1ai', '[email]'],
    // Cards
    ['card 4111111111111111, exp 12/29', 'card [card], exp 12/29'],
    ['5500 0000 0000 0004', '[card]'],
    ['3782-822463-10005 and 378282246310005', '[card] and [card]'],
    ['3056 930902 5904', '[card]'],
    ['6011.1111.1111.1117', '[card]'],
    ['4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1', '[card]'],
    ['order 12 4111 1111 1111 1111 999', 'order 12 [card] 999'],
    // IBAN
    ['IBAN DE89 3704 0044 0532 0130 00 of Joe', 'IBAN [iban] of Joe'],
    ['gb82west12345698765432', '[iban]'],
    ['FR14-2004-1010-0505-0001-3M02-606', '[iban]'],
    // Phones
    ['Call (212) 555-1234 now', 'Call [phone] now'],
    ['212.555.1234 / +49 30 901820', '[phone] / [phone]'],
    ['+44 (0)20 7946 0958', '[phone]'],
    ['tel: 2125551234', 'tel: [phone]'],
    ['+1-212-555-1234 x12', '[phone] x12'],
    ['212 555 1234 415 555 2671', '[phone] [phone]'],
    // The second comes to light when the first is gone.
    ['+49 30 901820+49 30 901820', '[phone][phone]'],
  ])('redacts %s', async (text, wanted) => {
    expect(await redacted(text)).toBe(wanted);
  });

  it.each([
    'See logo@2x.png, foo@1.2.3, @joe, joe@localhost and a@b.',
    'total 1,234,567.89 or 1.234.567,89 or 12 345 678 901',
    'on 2024-01-15 12:30, 15.01.2024, 01/15/2024 and 2023-2024-2025',
    'id 2125551234, timestamp 1700000000000, order 4111111111111112',
    'ip 192.168.100.200, version 10.15.7.1, 40.7127837, -74.0059413',
    'ISBN 978-3-16-148410-0, EAN 4006381333931',
    'pi 3.14159265358979, a 0.4111111111111111',
    'v212.555.1234, $2125551234, 212-555-1234-9999',
    'DE89 3704 0044 0532 0130 01, DE00, ZZ89370400440532013000',
    'sha 9f86d081884c7d659a2feaa0c55ad015',
    '| 1200 | 3400 | 5600 | 7800 |\n| 11 | 22 | 33 | 44 | 55 |',
    'plain words, [email] and [phone] 2125551234',
    '',
  ])('leaves %j alone', async (text) => {
    expect(await redacted(text)).toBeNull();
  });

  it.each([
    ['full-width letters', 'ｊｏｅ＠ｅｘａｍｐｌｅ．ｃｏｍ'],
    ['zero-width letters', 'j\u200bo\u2060e@exam\ufeffple.c\u00adom'],
    ['direction marks', '\u202ejoe@example.com\u202c'],
    ['full-width digits', '４１１１１１１１１１１１１１１１'],
    ['Arabic digits', '٤١١١ ١١١١ ١١١١ ١١١١'],
    ['Devanagari digits', '४१११११११११११११११'],
    ['mathematical digits', '𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏'],
    ['keycaps', '4\ufe0f\u20e31\ufe0f\u20e31\ufe0f\u20e31\ufe0f\u20e3111111111111'],
    ['no-break spaces', '4111\u00a01111\u20071111\u202f1111'],
    ['long dashes', '4111–1111—1111−1111'],
    ['zero-width in digits', '4111\u200b1111\u200b1111\u200b1111'],
    ['JSON escapes', 'joe\\u0040example.com'],
  ])('sees through %s', async (_, text) => {
    const result = await redacted(`a ${text} z`);
    expect(result).toMatch(/^a \u202e?\[(email|card)\]\u202c? z$/);
  });

  it('says what it found, in Azure’s shape', async () => {
    expect(await judgedBy('redact', 'joe@example.com', {})).toMatchObject({
      text: '[email]',
      results: { personal_data: { filtered: false, detected: true, redacted: true } },
      findings: [
        { action: 'redact', label: 'email', severity: 2, spans: [{ start: 0, end: 15 }], filter: 'personal_data' },
      ],
    });
    expect(await judgedBy('block', 'joe@example.com', {})).toMatchObject({
      text: '',
      blocked: true,
      results: { personal_data: { filtered: true, detected: true } },
    });
    expect(await judgedBy('block', 'nothing', {})).toMatchObject({
      text: 'nothing',
      results: { personal_data: { filtered: false, detected: false } },
    });
  });

  it('looks only for the kinds it is told to', async () => {
    const text = 'joe@example.com +12125551234 4111111111111111 DE89370400440532013000 536-90-4399';
    for (const kind of KINDS) {
      const result = await redacted(text, { kinds: [kind] });
      expect(result?.match(/\[\w+\]/g)).toEqual([`[${kind}]`]);
    }
  });

  it('refuses a country it does not know', () => {
    expect(() => personalData({ region: 'ZZ' })).toThrow(/no such country: 'ZZ'/);
  });
});

/** Letters of all kinds, with those that matter here more often than chance has them. */
const soup = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...'0123456789@.-+ ()/\\"{}[]:,\n',
        'joe@example.com',
        '4111 1111',
        'DE89',
        '+49 30',
        '\u200b',
        '４',
        '\\u0040',
      ),
      fc.string({ maxLength: 3, unit: 'binary' }),
      fc.stringMatching(/^[a-z0-9@. -]{1,12}$/),
    ),
    { maxLength: 60 },
  )
  .map((parts) => parts.join(''));

const planted = fc.constantFrom(
  'joe.doe@example.com',
  '4111 1111 1111 1111',
  '378282246310005',
  'DE89 3704 0044 0532 0130 00',
  '+49 30 901820',
  '(212) 555-1234',
);

describe('whatever the text', () => {
  it('nothing is found in what was redacted', async () => {
    await fc.assert(
      fc.asyncProperty(soup, fc.constantFrom('US', 'DE', 'ES'), async (text, region) => {
        const result = await redacted(text, { region });
        if (result !== null) expect(await redacted(result, { region })).toBeNull();
      }),
      { numRuns: 1_500 },
    );
  });

  it('what was planted between words is gone, and the words are there', async () => {
    const words = fc.array(fc.stringMatching(/^[a-zäé,;!?*_ \n]{1,20}$/), { minLength: 2, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(words, planted, async (text, secret) => {
        const result = await redacted(text.join(` \n${secret}\n `));
        expect(result).not.toContain(secret.slice(2, 9));
        expect(result?.split(/\[(?:email|card|iban|phone)\]/).map((s) => s.trim())).toEqual(
          text.map((word, i) => `${i > 0 ? ' ' : ''}${word}`.trim()),
        );
      }),
    );
  });

  it('text without digits and without @ is let through', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme' }), async (text) => {
        if (!/[\p{N}@＠﹫\\]/u.test(text.normalize('NFKC'))) expect(await redacted(text)).toBeNull();
      }),
    );
  });
});

describe('time', () => {
  // Whatever takes more than linear time would take an hour of this much: the test's own limit ends it.
  const much = (unit: string) => unit.repeat(Math.ceil(2 ** 18 / unit.length));

  it('much prose takes a moment', async () => {
    const prose = much('On 15 January 2024 the board met; 1,234,567.89 EUR were paid, see item 12.3 (page 4). ');
    expect(await redacted(prose)).toBeNull();
  });

  it.each([
    'a',
    '@',
    'a@',
    'a.',
    'a@a.',
    '1',
    '1 ',
    '12 34 ',
    '1-',
    '4111 1111 1111 1112 ',
    '212 555 1234 ',
    '+1 2 3 4 5 6 7 8 9 0 ',
    '(',
    '(1) ',
    'DE89 ',
    'DE89',
    '４',
    '\\u0040',
    '\u200b',
    '{"a":',
    '["1",',
    '"\\',
    'tel 2125551234 ',
  ])('much %j does not take long', async (unit) => {
    const text = much(unit);
    const masked = await redacted(text, { region: 'DE' });
    expect(masked ?? text).not.toBe('');
  });
});
