import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Segmenter, type Span } from './segmenter.ts';

type Run = [speech: boolean, frames: number];

function segment(frames: { speech: boolean; level: number }[], maxFrames: number, pauseFrames = 100): Span[] {
  const segmenter = new Segmenter(maxFrames, pauseFrames);
  const spans: Span[] = [];
  for (const frame of frames) {
    const span = segmenter.push(frame);
    if (span === null) continue;
    spans.push(span);
    expect(segmenter.needed).toBeGreaterThanOrEqual(span.end);
  }
  const last = segmenter.flush();
  return last === null ? spans : [...spans, last];
}

const frames = (...runs: Run[]) =>
  runs.flatMap(([speech, n]) => Array.from({ length: n }, () => ({ speech, level: speech ? -20 : -80 })));
const cuts = (spans: Span[]) => spans.map(({ start, end }) => [start, end]);

describe('Segmenter', () => {
  it('joins what is said until a pause of 2 s, and leaves out the silence', () => {
    const speech = frames([false, 300], [true, 50], [false, 99], [true, 50], [false, 200], [true, 30], [false, 5]);
    expect(segment(speech, 1_400)).toEqual([
      { start: 290, end: 509, speech: 100 },
      { start: 689, end: 734, speech: 30 },
    ]);
    expect(segment(frames([false, 5_000]), 1_400)).toEqual([]);
  });

  it('ends a chunk at a shorter pause if told so', () => {
    const speech = frames([true, 50], [false, 20], [true, 50], [false, 19], [true, 30], [false, 40]);
    expect(cuts(segment(speech, 1_400, 20))).toEqual([
      [0, 60],
      [60, 179],
    ]);
    expect(() => new Segmenter(1_400, 19)).toThrow(RangeError);
  });

  it('cuts where the silence is longest in the later half', () => {
    const speech = frames([true, 60], [false, 60], [true, 30], [false, 12], [true, 20], [false, 24], [true, 100]);
    // The 60 frames lie too early, the 12 are shorter than the 24.
    expect(cuts(segment(speech, 240))).toEqual([
      [0, 192],
      [196, 306],
    ]);
    // Of a silence shorter than two margins each side has half.
    expect(cuts(segment(frames([true, 80], [false, 10], [true, 30]), 100))).toEqual([
      [0, 85],
      [85, 120],
    ]);
  });

  it('cuts before the quietest moment of the last quarter if nobody pauses', () => {
    const speech = frames([true, 300]);
    speech[10] = { speech: true, level: -70 };
    speech[80] = { speech: true, level: -40 };
    speech[90] = { speech: true, level: -50 };
    expect(cuts(segment(speech, 100))).toEqual([
      [0, 90],
      [90, 189],
      [189, 288],
      [288, 300],
    ]);
  });

  it('keeps every frame of speech once, in order, in chunks that fit', () => {
    const runs = fc.array(
      fc.tuple(fc.boolean(), fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 400 }))),
      {
        maxLength: 40,
      },
    );
    fc.assert(
      fc.property(
        runs,
        fc.integer({ min: 100, max: 600 }),
        fc.integer({ min: 20, max: 200 }),
        fc.infiniteStream(fc.integer({ min: -90, max: 0 })),
        (given, max, pause, levels) => {
          const heard = frames(...given).map((f) => ({ ...f, level: levels.next().value }));
          const spans = segment(heard, max, pause);
          let end = 0;
          const kept = heard.map(() => 0);
          for (const span of spans) {
            expect(span.start).toBeGreaterThanOrEqual(end);
            expect(span.end - span.start).toBeLessThanOrEqual(max);
            end = span.end;
            for (let at = span.start; at < span.end; at++) kept[at] = (kept[at] ?? 0) + 1;
            const spoken = heard.slice(span.start, span.end).filter((f) => f.speech).length;
            expect(span.speech).toBe(spoken);
            expect(spoken).toBeGreaterThan(0);
          }
          expect(end).toBeLessThanOrEqual(heard.length);
          heard.forEach((f, at) => {
            if (f.speech) expect(kept[at]).toBe(1);
          });
        },
      ),
    );
  });

  it('refuses chunks shorter than two seconds', () => {
    expect(() => new Segmenter(99, 100)).toThrow(RangeError);
  });
});
