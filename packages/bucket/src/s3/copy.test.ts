import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planCopy } from './copy.ts';

const MiB = 1024 * 1024;
const at = (name: string, bytes: number) => ({ Bucket: 'bucket', Key: `prefix/${name}`, bytes });

test('copies what the rules for parts allow, each byte once and in order', () => {
  const size = fc.oneof(
    fc.constant(0),
    fc.integer({ min: 1, max: 6 * MiB }),
    fc.integer({ min: 5 * MiB, max: 6000 * MiB }),
  );
  fc.assert(
    fc.property(fc.array(size, { maxLength: 8 }), (sizes) => {
      const parts = planCopy(sizes.map((bytes, i) => at(String(i), bytes)));
      const filled = sizes.filter((bytes) => bytes > 0);
      const allowed = filled.length > 0 && filled.slice(0, -1).every((bytes) => bytes >= 5 * MiB);
      expect(parts !== null).toBe(allowed);
      if (parts === null) return;
      const copied = new Map<string, number>();
      for (const [i, { CopySource, CopySourceRange }] of parts.entries()) {
        const bytes = sizes[Number(CopySource.split('/').at(-1))] ?? 0;
        const [, start = '0', end = String(bytes - 1)] = /^bytes=(\d+)-(\d+)$/.exec(CopySourceRange ?? '') ?? [];
        const length = Number(end) - Number(start) + 1;
        expect(Number(start)).toBe(copied.get(CopySource) ?? 0);
        expect(length).toBeLessThanOrEqual(512 * MiB);
        if (i < parts.length - 1) expect(length).toBeGreaterThanOrEqual(5 * MiB);
        copied.set(CopySource, Number(end) + 1);
      }
      const expected = sizes.map((bytes, i) => [`bucket/prefix/${i}`, bytes] as const).filter(([, bytes]) => bytes > 0);
      expect([...copied]).toEqual(expected);
    }),
  );
});

test('does not copy into more parts than S3 takes', () => {
  const sources = (count: number) => Array.from({ length: count }, (_, i) => at(String(i), 5 * MiB));
  expect(planCopy(sources(10_000))).toHaveLength(10_000);
  expect(planCopy(sources(10_001))).toBeNull();
});

test('escapes keys', () => {
  expect(planCopy([at('a+b=c', 1)])).toEqual([{ CopySource: 'bucket/prefix/a%2Bb%3Dc', CopySourceRange: undefined }]);
});
