import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RateLimit } from './rate.ts';

/** What the API relies on when it counts requests. `shared`: two of them count together, as two processes do. */
export function rateConformance(name: string, open: () => RateLimit, { shared }: { shared: boolean }): void {
  describe(`rate limits on ${name}`, () => {
    let rates: RateLimit[];
    beforeEach(() => {
      rates = [open(), open()];
    });
    afterEach(() => Promise.all(rates.map((rate) => rate.close())));

    /** How many of `n` asked for at once are let through. */
    const taken = async (rate: RateLimit | undefined, who: string, n: number, perSecond: number) => {
      const waits = await Promise.all(Array.from({ length: n }, () => rate?.take(who, perSecond) ?? 0));
      for (const ms of waits) expect(ms).toBeLessThanOrEqual(1_000);
      return waits.filter((ms) => ms === 0).length;
    };
    /** Connections open and tables are made with the first calls; until then each counts alone. In memory there is nothing to wait for. */
    const warm = async (...limits: number[]) => {
      for (let i = 0; i < 10 && shared; i++) {
        await Promise.all(rates.flatMap((rate) => limits.map((perSecond) => rate.take(`warm-${i}`, perSecond))));
        await sleep(50);
      }
    };

    test('so many in a second, of each name by itself, and again in the next', async () => {
      await warm(100);
      const first = await taken(rates[0], 'a', 250, 100);
      // A second may end between the first and the last of them.
      expect([100, 200]).toContain(first);
      expect(await taken(rates[0], 'b', 50, 100)).toBe(50);
      await sleep(1_100);
      expect(await taken(rates[0], 'a', 10, 100)).toBe(10);
    });

    test('limits of different height do not mix', async () => {
      await warm(100, 20);
      expect(await taken(rates[0], 'c', 90, 100)).toBe(90);
      expect(await taken(rates[0], 'd', 15, 20)).toBe(15);
    });

    test(shared ? 'processes count together' : 'each counts by itself', async () => {
      await warm(60);
      const both = await Promise.all(rates.map((rate) => taken(rate, 'e', 60, 60)));
      const sum = both.reduce((a, b) => a + b, 0);
      // If a second ended meanwhile, up to all of them.
      if (shared) expect(sum).toBeLessThanOrEqual(120);
      else expect(sum).toBe(120);
      // Over many rounds a second ends in few.
      let most = 0;
      for (let round = 0; round < 5; round++) {
        const let_through = await Promise.all(rates.map((rate) => taken(rate, `f${round}`, 60, 60)));
        if (let_through.reduce((a, b) => a + b, 0) === 60) most++;
      }
      if (shared) expect(most).toBeGreaterThan(0);
      else expect(most).toBe(0);
    });
  });
}
