import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sizeWithin } from './budget.ts';
import { printLines } from './print-lines.ts';
import { type GreyPage, type PlannedTile, planTiles } from './tiles.ts';

interface Bar {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

const blank = (width: number, height: number, paper = 255): GreyPage => ({
  data: new Uint8Array(width * height).fill(paper),
  width,
  height,
});

function fill(page: GreyPage, { left, right, top, bottom }: Bar, ink: number): void {
  for (let y = top; y < bottom; y++) page.data.fill(ink, y * page.width + left, y * page.width + right);
}

/** Repeatable noise, standard deviation `sigma`, cut off at black and white as a scanner does. */
function addNoise(page: GreyPage, sigma: number, seed: number): void {
  let state = seed >>> 0 || 1;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < page.data.length; i++) {
    const noise = (random() + random() + random() + random() - 2) * sigma * 1.73;
    page.data[i] = Math.max(0, Math.min(255, Math.round((page.data[i] ?? 0) + noise)));
  }
}

/** A line of upright strokes as letters have them: x-height, with some ascenders and descenders. `rise` pixels per pixel. */
function writeLine(page: GreyPage, line: Bar, ink: number, rise = 0): void {
  const height = line.bottom - line.top;
  for (let x = line.left, i = 0; x + 3 < line.right; x += Math.max(5, Math.round(height / 3)), i++) {
    const shift = Math.round((x - line.left) * rise);
    const top = line.top + shift + (i % 4 === 0 ? 0 : Math.round(height * 0.25));
    const bottom = line.bottom + shift - (i % 5 === 0 ? 0 : Math.round(height * 0.25));
    fill(page, { left: x, right: x + 3, top: Math.max(0, top), bottom: Math.min(page.height, bottom) }, ink);
  }
}

/** A4 at 200 dpi with lines `pitch` apart. */
function written(pitch: number, options: { paper?: number; ink?: number; rise?: number; columns?: number[] } = {}) {
  const page = blank(1_654, 2_339, options.paper);
  for (const left of options.columns ?? [150])
    for (let top = 150 + (left > 150 ? Math.round(pitch / 2) : 0); top < 2_150; top += pitch)
      writeLine(
        page,
        { left, right: left + (options.columns ? 600 : 1_350), top, bottom: top + Math.round(pitch * 0.72) },
        options.ink ?? 0,
        options.rise,
      );
  return page;
}

const roomy = { maxTokens: 1_120, tileLines: null };
const tight = { maxTokens: 280, tileLines: null };
const whole = ({ height }: GreyPage) => [{ top: 0, bottom: height, overlaps: false }];

const inOrder = (tiles: PlannedTile[], height: number) =>
  tiles.forEach(({ top, bottom, overlaps }, i) => {
    const before = tiles[i - 1];
    expect(top).toBeGreaterThanOrEqual(0);
    expect(bottom).toBeGreaterThan(top);
    expect(bottom).toBeLessThanOrEqual(height);
    expect([top, bottom].every(Number.isInteger)).toBe(true);
    if (before === undefined) expect(overlaps).toBe(false);
    else if (overlaps) {
      expect(top).toBeGreaterThan(before.top);
      expect(top).toBeLessThan(before.bottom);
    } else expect(top).toBeGreaterThanOrEqual(before.bottom);
  });

/** Lines of one height with blank rows between, on paper of any grey. */
const barPage = fc
  .record({
    width: fc.integer({ min: 120, max: 500 }),
    bar: fc.integer({ min: 6, max: 24 }),
    gaps: fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 60 }),
    sides: fc.tuple(fc.double({ min: 0, max: 0.6, noNaN: true }), fc.double({ min: 0.3, max: 0.4, noNaN: true })),
    paper: fc.constantFrom(0, 90, 200, 255),
    difference: fc.constantFrom(40, 90, 200),
  })
  .map(({ width, bar, gaps, sides, paper, difference }) => {
    const ink = paper >= 128 ? Math.max(0, paper - difference) : Math.min(255, paper + difference);
    const bars: Bar[] = [];
    let top = 0;
    for (const gap of gaps) {
      top += Math.max(3, Math.ceil(bar / 3)) + gap;
      const left = Math.floor(sides[0] * width);
      bars.push({ left, right: Math.floor(left + sides[1] * width), top, bottom: top + bar });
      top += bar;
    }
    return { width, height: top + 20, paper, ink, bars };
  });

/** Drawn inside the property: a counterexample names bars, not pixels. */
function draw({
  width,
  height,
  paper,
  ink,
  bars,
}: {
  width: number;
  height: number;
  paper: number;
  ink: number;
  bars: Bar[];
}) {
  const page = blank(width, height, paper);
  for (const bar of bars) fill(page, bar, ink);
  return page;
}

const options = fc.record({
  maxTokens: fc.integer({ min: 70, max: 1_120 }),
  tileLines: fc.option(fc.integer({ min: 1, max: 12 })),
});

describe('planTiles', () => {
  it('has every line in one tile, whole, where blank rows part the lines', () => {
    fc.assert(
      fc.property(barPage, options, (drawing, wanted) => {
        const { bars } = drawing;
        const page = draw(drawing);
        const tiles = planTiles(page, wanted);
        inOrder(tiles, page.height);
        expect(tiles.some((tile) => tile.overlaps)).toBe(false);
        for (const { top, bottom } of bars)
          expect(tiles.filter((tile) => tile.top <= top && tile.bottom >= bottom)).toHaveLength(1);
        expect(tiles.length).toBeLessThanOrEqual(40);
        const { tileLines } = wanted;
        if (tileLines === null || bars.length > 30 * tileLines) return;
        for (const tile of tiles)
          expect(bars.filter(({ top }) => top >= tile.top && top < tile.bottom).length).toBeLessThanOrEqual(tileLines);
      }),
      { numRuns: 300 },
    );
  });

  it('covers every row of a page it cannot part into lines', () => {
    const crowded = fc
      .array(
        fc.record({
          x: fc.nat(480),
          y: fc.nat(1_900),
          w: fc.integer({ min: 4, max: 60 }),
          h: fc.integer({ min: 8, max: 38 }),
        }),
        {
          minLength: 1,
          maxLength: 150,
        },
      )
      .map((boxes) => {
        const bars = boxes.map(({ x, y, w, h }) => ({
          left: x,
          right: Math.min(500, x + w),
          top: y,
          bottom: y + h,
        }));
        return { width: 500, height: 2_000, paper: 255, ink: 30, bars };
      });
    fc.assert(
      fc.property(crowded, options, (drawing, wanted) => {
        const { bars } = drawing;
        const page = draw(drawing);
        const tiles = planTiles(page, wanted);
        inOrder(tiles, page.height);
        expect(tiles.length).toBeLessThanOrEqual(40);
        for (const { top, bottom } of bars)
          for (let y = top; y < bottom; y++)
            expect(
              tiles.some((tile) => tile.top <= y && tile.bottom > y),
              `row ${y}`,
            ).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it('answers any bytes of any shape with tiles in order', () => {
    const any = fc.record({
      width: fc.integer({ min: 1, max: 90 }),
      height: fc.integer({ min: 1, max: 400 }),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(any, options, ({ width, height, seed }, wanted) => {
        const page = blank(width, height, seed % 256);
        addNoise(page, seed % 100, seed);
        const tiles = planTiles(page, wanted);
        inOrder(tiles, height);
        expect(tiles.length).toBeLessThanOrEqual(40);
      }),
      { numRuns: 300 },
    );
  });

  it('reads a page whole if its print stays large enough', () => {
    for (const page of [written(40), written(40, { paper: 0, ink: 255 }), written(40, { paper: 180, ink: 120 })]) {
      expect(planTiles(page, roomy)).toEqual(whole(page));
      expect(planTiles(page, tight)).toEqual(whole(page));
    }
    expect(planTiles(written(18), roomy)).toHaveLength(1);
  });

  it('cuts a page of small print so that each tile shows it large enough', () => {
    for (const paper of [255, 60])
      for (const sigma of [0, 12]) {
        const page = written(20, { paper, ink: 255 - paper });
        addNoise(page, sigma, 7);
        const tiles = planTiles(page, tight);
        expect(tiles.length).toBeGreaterThan(1);
        inOrder(tiles, page.height);
        for (const { top, bottom, overlaps } of tiles) {
          expect(overlaps).toBe(false);
          const size = sizeWithin(page.width, bottom - top, 280);
          const scale = Math.sqrt((size.width * size.height) / (page.width * (bottom - top)));
          expect(20 * scale).toBeGreaterThan(13);
        }
      }
  });

  it('repeats lines where slanted ones leave no row to cut in, and cuts slightly slanted ones cleanly', () => {
    const slight = planTiles(written(20, { rise: 0.003 }), tight);
    expect(slight.length).toBeGreaterThan(1);
    expect(slight.some((tile) => tile.overlaps)).toBe(false);
    const slanted = written(20, { rise: 0.04 });
    const tiles = planTiles(slanted, tight);
    inOrder(tiles, slanted.height);
    const repeated = tiles.flatMap((tile, i) => (tile.overlaps ? [(tiles[i - 1]?.bottom ?? 0) - tile.top] : []));
    expect(repeated).toHaveLength(tiles.length - 1);
    for (const rows of repeated) expect(Math.abs(rows - 40)).toBeLessThanOrEqual(4);
  });

  it('repeats lines where two columns are out of step', () => {
    const columns = written(20, { columns: [150, 900] });
    expect(printLines(columns).pitch).toBe(20);
    const tiles = planTiles(columns, { maxTokens: 280, tileLines: 10 });
    expect(tiles.length).toBeGreaterThan(5);
    expect(tiles.slice(1).every((tile) => tile.overlaps)).toBe(true);
  });

  it('sees through the rules and borders of a table', () => {
    const page = written(40, { columns: [] });
    for (let x = 110; x < 1_550; x += 150)
      for (let top = 106; top < 2_140; top += 40)
        writeLine(page, { left: x, right: x + 120, top, bottom: top + 28 }, 0);
    for (let x = 100; x < 1_600; x += 150) fill(page, { left: x, right: x + 3, top: 100, bottom: 2_200 }, 0);
    for (let y = 100; y < 2_200; y += 40) fill(page, { left: 100, right: 1_600, top: y, bottom: y + 2 }, 0);
    const tiles = planTiles(page, { maxTokens: 280, tileLines: 10 });
    expect(tiles.map((tile) => tile.overlaps)).toEqual(Array(6).fill(false));
  });

  it('cuts what is drawn out: receipts and long screenshots', () => {
    const page = blank(600, 9_000);
    for (let top = 30; top < 8_900; top += 26) writeLine(page, { left: 40, right: 560, top, bottom: top + 18 }, 0);
    const tiles = planTiles(page, tight);
    expect(tiles.length).toBeGreaterThanOrEqual(3);
    expect(tiles.some((tile) => tile.overlaps)).toBe(false);
    // A picture without lines is judged by its shape.
    const photo = blank(700, 7_000, 128);
    addNoise(photo, 120, 3);
    expect(planTiles(photo, tight).length).toBeGreaterThan(3);
  });

  it('knows a blank page', () => {
    const noisy = blank(1_654, 2_339);
    addNoise(noisy, 10, 5);
    const shaded = blank(1_654, 2_339);
    for (let i = 0; i < shaded.data.length; i++) shaded.data[i] = 255 - Math.floor(((i % 1_654) / 1_654) * 120);
    const framed = blank(1_654, 2_339, 230);
    for (const left of [40, 1_600]) fill(framed, { left, right: left + 4, top: 40, bottom: 2_300 }, 0);
    for (const top of [40, 2_300]) fill(framed, { left: 40, right: 1_604, top, bottom: top + 4 }, 0);
    const dusty = blank(1_654, 2_339);
    for (let i = 0; i < 40; i++)
      fill(dusty, { left: i * 40, right: i * 40 + 2, top: (i * 977) % 2_330, bottom: ((i * 977) % 2_330) + 2 }, 0);
    for (const page of [blank(1_654, 2_339), blank(800, 600, 0), noisy, shaded, framed, dusty, blank(1, 1)])
      expect(planTiles(page, roomy)).toEqual([]);
  });

  it('never takes a page with a little print for blank', () => {
    for (const ink of [0, 190, 230]) {
      const page = blank(1_654, 2_339);
      writeLine(page, { left: 800, right: 830, top: 2_240, bottom: 2_262 }, ink);
      expect(planTiles(page, roomy)).toEqual(whole(page));
    }
    const noisy = blank(1_654, 2_339, 240);
    writeLine(noisy, { left: 800, right: 860, top: 2_240, bottom: 2_262 }, 90);
    addNoise(noisy, 10, 11);
    expect(planTiles(noisy, roomy)).toEqual(whole(noisy));
  });

  it('is quick', () => {
    const page = written(20);
    const times = Array.from({ length: 8 }, () => {
      const start = process.cpuUsage().user;
      planTiles(page, tight);
      return process.cpuUsage().user - start;
    });
    // 7 ms on a machine of 2024; the bound is for a busy one.
    expect(Math.min(...times) / 1_000).toBeLessThan(40);
  });
});
