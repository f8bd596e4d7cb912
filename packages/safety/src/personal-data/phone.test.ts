import { type CountryCode, getCountries, getExampleNumber } from 'libphonenumber-js/max';
import examples from 'libphonenumber-js/mobile/examples';
import { describe, expect, it } from 'vitest';
import { COUNTRIES } from './countries.ts';
import { region } from './phone-plans.ts';
import { redacted } from './test-filter.ts';

/** A mobile number of every country there is, by the library our tables come from. */
const numbers = getCountries().flatMap((country) => {
  const number = getExampleNumber(country, examples);
  return number === undefined ? [] : [{ country, number }];
});
const found = async (text: string, phoneRegion: CountryCode) => {
  const result = await redacted(`x ${text} y`, { region: phoneRegion });
  return result === 'x [phone] y' || (result === 'x Phone: [phone] y' && text.startsWith('Phone: '));
};
const missed = async (write: (n: (typeof numbers)[number]) => string, home?: CountryCode) => {
  const misses: string[] = [];
  for (const entry of numbers) {
    const text = write(entry);
    if (!(await found(text, home ?? entry.country))) misses.push(`${entry.country} ${text}`);
  }
  return misses;
};

describe('phone numbers of all countries', () => {
  it('are found with their country code, wherever the reader is at home', async () => {
    expect(numbers.length).toBeGreaterThan(230);
    expect(await missed(({ number }) => number.number, 'US')).toEqual([]);
    expect(await missed(({ number }) => number.formatInternational(), 'DE')).toEqual([]);
    expect(await missed(({ number }) => number.number.replace('+', '00'), 'FR')).toEqual([]);
  });

  it('are found as they are written at home', async () => {
    // Missing are those written like an amount (512 345 678), in one piece, or with fewer than seven digits.
    const misses = await missed(({ number }) => number.formatNational());
    expect(misses.filter((m) => !/^[A-Z]{2} (\d{1,3}([ .]\d{3})+|\d+|[\d .]{1,9})$/.test(m))).toEqual([
      'BY 8 029 491-19-11',
    ]);
    expect(misses.length).toBeLessThan(35);
  });

  it('are found in any form where a word says what they are', async () => {
    const misses = await missed(({ number }) => `Phone: ${number.nationalNumber}`);
    expect(misses.filter((m) => m.replace(/\D/g, '').length >= 7)).toEqual([]);
  });
});

it.each([
  ['DE', '030 901820'],
  ['DE', '0171/123 45 67'],
  ['DE', '(030) 901820'],
  ['DE', '0049 30 901820'],
  ['GB', '020 7946 0958'],
  ['FR', '01 23 45 67 89'],
  ['US', '011 44 20 7946 0958'],
  ['US', '1 212 555 1234'],
  ['AU', '(02) 5550 1234'],
] as const)('in %s: %s', async (country, text) => {
  expect(await found(text, country)).toBe(true);
});

it.each([
  ['DE', '30 901820'],
  ['DE', '12.345.678'],
  ['DE', '02.01.1999 and 03-11-2024 12'],
  ['IT', 'dial 01/01/2024'],
  ['DE', '15.01.2024 12'],
  ['DE', 'Bestellung 12-345-678'],
  ['DE', '0123456789'],
  ['ES', '612 345 678 EUR'],
  ['FR', '2024-01-15'],
  ['US', '+0 123 456 7890'],
  ['US', '+1 234'],
] as const)('not in %s: %s', async (phoneRegion, text) => {
  expect(await redacted(text, { region: phoneRegion })).toBeNull();
});

it('the countries that a policy may name are those that have a plan', () => {
  expect([...COUNTRIES]).toEqual(getCountries().toSorted());
  for (const country of COUNTRIES) expect(region(country).lengths.size).toBeGreaterThan(0);
});
