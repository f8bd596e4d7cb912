import { expect, test } from 'vitest';
import { render } from '../progress.ts';
import { Meter, unitsText } from './meter.ts';

test('speed over the last minute, and time left from whole items since the beginning', () => {
  let now = 0;
  const meter = new Meter(() => now);
  const pages = (done: number) => ({ unit: 'pages' as const, done });
  // Taken up in the middle: what was done before says nothing about the speed.
  expect(meter.read(50, 100, pages(1_000))).toEqual({ text: '1000 pages', secondsLeft: null });
  now = 10_000;
  expect(meter.read(50, 100, pages(1_020))).toEqual({ text: '1020 pages', secondsLeft: null });
  now = 20_000;
  expect(meter.read(60, 100, pages(1_040))).toEqual({ text: '1040 pages, 2.0 pages/s', secondsLeft: 80 });
  for (now = 30_000; now <= 200_000; now += 10_000) meter.read(60, 100, pages(1_040));
  expect(meter.read(60, 100, pages(1_040)).text).toBe('1040 pages');
  expect(new Meter().read(1, 2, null)).toEqual({ text: '', secondsLeft: null });
});

test('time left and share from pages, where the service can tell how many there are', () => {
  let now = 0;
  const meter = new Meter(() => now);
  const pages = (done: number, total: number | null) => ({ unit: 'pages' as const, done, total });
  // One long document: no item is done until the last page.
  expect(meter.read(0, 1, pages(0, null))).toEqual({ text: '0 pages', secondsLeft: null });
  // Starting takes a while, and says nothing about the speed.
  now = 30_000;
  expect(meter.read(0, 1, pages(20, 300))).toEqual({ text: '20 pages of 300', secondsLeft: null, share: 1 / 15 });
  now = 36_000;
  const reading = meter.read(0, 1, pages(50, 300));
  expect(reading).toEqual({ text: '50 pages of 300, 5.0 pages/s', secondsLeft: 50, share: 1 / 6 });
  expect(render('running', 0, 1, reading)).toMatch(
    /^running {2}█{5}░{23} {2}16 % {2}0\/1 {2}50 pages of 300, 5\.0 pages\/s {2}50 s left$/,
  );
  // Fewer than thought, since some failed.
  expect(meter.read(1, 1, pages(290, 300))).toMatchObject({ share: 1 });
});

test('pages and minutes in words', () => {
  expect(unitsText({ unit: 'pages', done: 1 }, 0)).toBe('1 page');
  expect(unitsText({ unit: 'audio_seconds', done: 3_720 }, 144)).toBe('1 h 2 min of sound, 2.4 min/s');
  expect(unitsText({ unit: 'audio_seconds', done: 30, total: 90 }, 0)).toBe('30 s of sound of 1 min 30 s');
  expect(unitsText({ unit: 'audio_seconds', done: 30 }, 1.5)).toBe('30 s of sound, 0.03 min/s');
  expect(render('running', 1, 4, { text: '12 pages, 3.0 pages/s', secondsLeft: 90 })).toMatch(
    /^running {2}█{7}░{21} {2}25 % {2}1\/4 {2}12 pages, 3\.0 pages\/s {2}1 min 30 s left$/,
  );
});
