import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mergeOrdered } from './merge.ts';

async function* stream<T>(pieces: T[][]): AsyncGenerator<T[]> {
  yield* pieces;
}

test('any split of positions over lanes and pieces is merged back into order, each exactly once', async () => {
  const lane = fc.array(fc.array(fc.constant(null), { maxLength: 4 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(fc.array(lane, { maxLength: 3 }), fc.infiniteStream(fc.nat(2)), async (shapes, choice) => {
      const total = shapes.flat(2).length;
      // Deal the positions 0 … total − 1 to the lanes in random order of lanes, ascending within each.
      const room = shapes.map((pieces) => pieces.flat().length);
      const dealt: number[][] = shapes.map(() => []);
      for (let position = 0; position < total; position++) {
        let lane = choice.next().value ?? 0;
        while ((dealt[lane % shapes.length]?.length ?? 0) >= (room[lane % shapes.length] ?? 0)) lane++;
        dealt[lane % shapes.length]?.push(position);
      }
      const lanes = shapes.map((pieces, i) => {
        const mine = dealt[i] ?? [];
        let at = 0;
        return stream(pieces.map((piece) => piece.map(() => ({ position: mine[at++] ?? -1 }))));
      });
      const merged: number[] = [];
      for await (const piece of mergeOrdered(lanes)) {
        expect(piece.length).toBeGreaterThan(0);
        merged.push(...piece.map((r) => r.position));
      }
      expect(merged).toEqual(Array.from({ length: total }, (_, i) => i));
    }),
  );
});
