import { describe, expect, it } from 'vitest';
import { redacted } from './test-filter.ts';

describe('national ids', () => {
  it.each([
    'SSN: 536-90-4399',
    'his social security number 536904399',
    'Steuer-ID 36 574 261 809',
    'NIR 1 85 05 78 006 084 91',
    'DNI 54362315K',
    'NIE X2482300W',
    'codice fiscale RCCMNL83S18D969H',
    'PESEL 44051401359',
    'BSN 111222333',
    'NINO HH 01 23 45 D',
    'NHS number 943 476 5919',
    'personnummer 880320-0016',
    'CPF 390.533.447-05',
    'Aadhaar 2341 2341 2346',
  ])('%s', async (text) => {
    expect(await redacted(`It says ${text} here.`, { region: [] })).toMatch(/\[national_id\] here\.$/);
  });

  it.each([
    'order 536904399',
    'SSN: 000-12-3456',
    'part 4711-536-90-4399',
    'DNI 54362315A',
    'CPF 390.533.447-06',
    'tracking 44051401359',
    'PESEL 44051401358',
    '2341 2341 2345',
    'version 12.345.678.901',
    'paid $536-90-4399',
  ])('not in %s', async (text) => {
    expect(await redacted(`It says ${text} here.`, { region: [], kinds: ['national_id'] })).toBeNull();
  });
});
