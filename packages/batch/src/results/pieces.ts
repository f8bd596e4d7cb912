import { type Begun, type Bucket, layout } from '@batchmill/bucket';
import { z } from 'zod';

/** The value of one finished piece (a page, a chunk) of an item that is not finished itself. */
export interface PieceRecord {
  /** The item's position in the input, from 0. */
  position: number;
  /** Which piece of the item. */
  name: string;
  /** JSON. */
  value: unknown;
  /** What it counts in the batch's progress: pages, seconds of sound. */
  units: number;
  /** What the whole item has, if this is what says so (`LENGTH`). */
  length?: number;
}

/** Name of the piece that is no work but says how long its item is. Tasks give no piece a name with a dot. */
export const LENGTH = '.length';

/** What these pieces say of how far the batch has come. */
export function countPieces(pieces: readonly PieceRecord[]): { units: number; begun?: Begun } {
  const lengths = pieces.flatMap(({ length }) => (length === undefined ? [] : [length]));
  return {
    units: pieces.reduce((sum, piece) => sum + piece.units, 0),
    ...(lengths.length === 0
      ? {}
      : { begun: { items: lengths.length, units: lengths.reduce((sum, n) => sum + n, 0) } }),
  };
}

const Line = z.tuple([z.number().int(), z.string(), z.unknown()]);

/** What is kept of a shard's unfinished items: position → name → value. Where two workers did one piece, the first stands. */
export type KeptPieces = Map<number, Map<string, unknown>>;

/** Reads the pieces of a shard, except of items in `finished`. */
export async function readPieces(
  bucket: Bucket,
  at: { tenant: string; id: string; shard: number },
  finished: ReadonlySet<number>,
): Promise<KeptPieces> {
  const kept: KeptPieces = new Map();
  for await (const { key } of bucket.list(layout.batch.piecesOfShard(at.tenant, at.id, at.shard))) {
    const bytes = await bucket.get(key);
    if (bytes === null) continue;
    for (const line of Buffer.from(bytes).toString('utf8').split('\n')) {
      if (line === '') continue;
      const [position, name, value] = Line.parse(JSON.parse(line));
      if (finished.has(position)) continue;
      const pieces = kept.get(position) ?? new Map<string, unknown>();
      if (!pieces.has(name)) pieces.set(name, value);
      kept.set(position, pieces);
    }
  }
  return kept;
}

/** Writes one part of a shard's pieces: an object of its own, never touched again. */
export async function writePieces(
  bucket: Bucket,
  at: { tenant: string; id: string; shard: number; writer: string; sequence: number },
  pieces: readonly PieceRecord[],
): Promise<void> {
  const { tenant, id, ...by } = at;
  const { units, begun } = countPieces(pieces);
  const counts = {
    units: Math.round(units),
    ...(begun === undefined ? {} : { begun: { items: begun.items, units: Math.round(begun.units) } }),
  };
  const lines = pieces.map(({ position, name, value }) => `${JSON.stringify([position, name, value])}\n`);
  await bucket.put(layout.batch.piecesPart(tenant, id, { ...by, at: Date.now(), ...counts }), lines.join(''));
}
