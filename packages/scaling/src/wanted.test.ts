import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Demand, type Scaling, workersWanted } from './wanted.ts';

const HOUR = 3_600;
const NOW = 1_800_000_000;
const scaling: Scaling = { maxWorkers: 20, startSeconds: 120, pace: 0.5, patienceSeconds: 300 };
const demand = (workSeconds: number, leftSeconds: number, over: Partial<Demand> = {}): Demand => ({
  workSeconds,
  shards: 100,
  since: NOW - 2 * HOUR,
  deadline: NOW + leftSeconds,
  ...over,
});
const wanted = (demands: Demand[], running = 1, over: Partial<Scaling> = {}) =>
  workersWanted(demands, running, NOW, { ...scaling, ...over });

describe('workersWanted', () => {
  test('nothing to do: none, however many run', () => {
    expect(wanted([], 0)).toBe(0);
    expect(wanted([], 7)).toBe(0);
    expect(wanted([demand(100, HOUR, { shards: 0 })], 3)).toBe(0);
  });

  test('work that one worker does in half the time left: one', () => {
    expect(wanted([demand(12 * HOUR, 24 * HOUR)])).toBe(1);
  });

  test('workers that must start first have less time, so there must be more of them', () => {
    // Half of an hour is planned with: 1,800 s. Three that run do 5,400 s of work; three that must start do not.
    expect(wanted([demand(5_400, HOUR)], 3)).toBe(3);
    expect(wanted([demand(5_400, HOUR)], 0)).toBe(4);
    // 2 · 1,800 + 1 · 1,680 = 5,280 < 5,400.
    expect(wanted([demand(5_400, HOUR)], 2)).toBe(4);
    expect(wanted([demand(5_280, HOUR)], 2)).toBe(3);
  });

  test('the earliest deadline decides, and what is due later does not hide it', () => {
    const urgent = demand(4 * HOUR, 2 * HOUR);
    const later = demand(10 * HOUR, 7 * 24 * HOUR);
    expect(wanted([later])).toBe(1);
    expect(wanted([urgent], 4)).toBe(4);
    expect(wanted([later, urgent], 4)).toBe(4);
  });

  test('what is due earlier takes from the time of what is due later', () => {
    const one = demand(6 * HOUR, 24 * HOUR);
    expect(wanted([one])).toBe(1);
    expect(wanted([one, one, one], 2)).toBe(2);
  });

  test('no more than there are shards, or than there may be', () => {
    expect(wanted([demand(100 * HOUR, HOUR, { shards: 3 })])).toBe(3);
    expect(wanted([demand(1_000 * HOUR, HOUR)])).toBe(20);
    expect(wanted([demand(1_000 * HOUR, HOUR)], 1, { maxWorkers: 2 })).toBe(2);
    // Too late for whoever is started now; those that are there do what they can.
    expect(wanted([demand(HOUR, 200)], 0)).toBe(20);
  });

  test('what is late is not begun any more', () => {
    expect(wanted([demand(HOUR, -10), demand(HOUR, 0)], 0)).toBe(0);
    expect(wanted([demand(HOUR, -10), demand(60, HOUR)], 1)).toBe(1);
  });

  test('a little work waits for more before a worker is started for it, but not for long', () => {
    const fresh = demand(5, 24 * HOUR, { since: NOW - 10 });
    expect(wanted([fresh], 0)).toBe(0);
    expect(wanted([fresh], 1)).toBe(1);
    expect(wanted([{ ...fresh, since: NOW - 301 }], 0)).toBe(1);
    expect(wanted([{ ...fresh, workSeconds: 121 }], 0)).toBe(1);
    // Little time is left: pace · left − start − work ≤ patience.
    expect(wanted([{ ...fresh, deadline: NOW + 840 }], 0)).toBe(1);
    expect(wanted([{ ...fresh, deadline: NOW + 860 }], 0)).toBe(0);
    expect(wanted([fresh], 0, { patienceSeconds: 0 })).toBe(1);
  });
});

const anyDemand = fc.record({
  workSeconds: fc.double({ min: 0, max: 1e6, noNaN: true }),
  shards: fc.integer({ min: 0, max: 5_000 }),
  since: fc.integer({ min: NOW - 7 * 24 * HOUR, max: NOW }),
  deadline: fc.integer({ min: NOW + 1, max: NOW + 7 * 24 * HOUR }),
});
const anyScaling = fc.record({
  maxWorkers: fc.integer({ min: 1, max: 1_000 }),
  startSeconds: fc.integer({ min: 0, max: 3_600 }),
  pace: fc.double({ min: 0.01, max: 1, noNaN: true }),
  patienceSeconds: fc.integer({ min: 0, max: 3_600 }),
});

test('always a whole number within the bounds, and none only if there is nothing to do or it may wait', () => {
  fc.assert(
    fc.property(fc.array(anyDemand, { maxLength: 30 }), fc.nat(50), anyScaling, (demands, running, settings) => {
      const n = workersWanted(demands, running, NOW, settings);
      expect(Number.isInteger(n)).toBe(true);
      expect(n).toBeGreaterThanOrEqual(0);
      expect(n).toBeLessThanOrEqual(settings.maxWorkers);
      expect(n).toBeLessThanOrEqual(demands.reduce((sum, { shards }) => sum + shards, 0));
      if (running > 0) expect(n > 0).toBe(demands.some(({ shards }) => shards > 0));
    }),
  );
});

test('more work, an earlier deadline or fewer that run never want fewer', () => {
  fc.assert(
    fc.property(
      fc.array(anyDemand, { minLength: 1, maxLength: 10 }),
      anyDemand,
      fc.integer({ min: 1, max: 50 }),
      anyScaling,
      fc.integer({ min: 0, max: 7 * 24 * HOUR }),
      (demands, more, running, settings, earlier) => {
        const n = (list: Demand[], there = running) => workersWanted(list, there, NOW, settings);
        const some = n(demands);
        expect(n([...demands, more])).toBeGreaterThanOrEqual(some);
        expect(
          n(demands.map((d) => ({ ...d, deadline: Math.max(NOW + 1, d.deadline - earlier) }))),
        ).toBeGreaterThanOrEqual(some);
        expect(n(demands, running + 1)).toBeLessThanOrEqual(some);
      },
    ),
  );
});

test('where the bounds allow it, that many workers do finish in the planned time, and one fewer would not', () => {
  fc.assert(
    fc.property(
      fc.array(anyDemand, { minLength: 1, maxLength: 10 }),
      fc.nat(20),
      anyScaling,
      (demands, running, settings) => {
        const endless = demands.map((d) => ({ ...d, shards: 1e9 }));
        const n = workersWanted(endless, running, NOW, { ...settings, maxWorkers: 1e9, patienceSeconds: 0 });
        if (n >= 1e9) return;
        const finishes = (workers: number, tolerance: number) => {
          let work = 0;
          return endless
            .toSorted((a, b) => a.deadline - b.deadline)
            .every((d) => {
              work += d.workSeconds;
              const time = Math.max(30, settings.pace * (d.deadline - NOW));
              const late = Math.max(0, workers - running) * Math.min(time, settings.startSeconds);
              return workers * time - late >= work * tolerance;
            });
        };
        // Within what floating point can tell apart.
        expect(finishes(n, 1 - 1e-9)).toBe(true);
        if (n > 1) expect(finishes(n - 1, 1 + 1e-9)).toBe(false);
      },
    ),
  );
});
