import { countPieces, type KeptPieces, LENGTH, type PieceRecord, writePieces } from '@batchmill/batch';
import type { Bucket } from '@batchmill/bucket';
import type { Logger } from '@batchmill/telemetry';

/** The pieces of one item: what an earlier run left, and what this one adds. */
export interface ItemPieces {
  /** `undefined`: not done yet. */
  get(name: string): unknown;
  /** `written`: whether it may go into the bucket. Else it is kept in memory, and done again after a crash. */
  keep(name: string, value: unknown, units: number, written: boolean): void;
  /** How much the item has in all, in units. What is known already is not counted again. */
  length(units: number): void;
  /** The item has a result now: its pieces are not needed any more. Gives what no part in the bucket counts. */
  end(): ReturnType<typeof countPieces>;
}

/**
 * Keeps the finished pieces of a shard's unfinished items and writes the new ones to the bucket every few seconds: a worker
 * that is killed loses what is in here and nothing else. Pieces are working state like the shards, read by workers alone, and
 * deleted when the batch has ended; those of which the filters would take something out are never written.
 */
export class Pieces {
  readonly #bucket: Bucket;
  readonly #at: { tenant: string; id: string; shard: number; writer: string };
  readonly #kept: KeptPieces;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #sequence = 0;
  /** Not written yet, by item. */
  readonly #fresh = new Map<number, PieceRecord[]>();
  #writing: Promise<void> = Promise.resolve();

  constructor(
    bucket: Bucket,
    at: { tenant: string; id: string; shard: number; writer: string },
    kept: KeptPieces,
    intervalMs: number,
    log: Logger,
  ) {
    this.#bucket = bucket;
    this.#at = at;
    this.#kept = kept;
    this.#log = log;
    this.#timer = setInterval(() => this.#flush(), intervalMs);
  }

  of(position: number): ItemPieces {
    const kept = this.#kept.get(position) ?? new Map<string, unknown>();
    this.#kept.set(position, kept);
    const unwritten: PieceRecord[] = [];
    const add = (piece: PieceRecord) => {
      kept.set(piece.name, piece.value);
      const fresh = this.#fresh.get(position) ?? [];
      fresh.push(piece);
      this.#fresh.set(position, fresh);
    };
    return {
      get: (name) => kept.get(name),
      keep: (name, value, units, written) => {
        if (written) return add({ position, name, value, units });
        kept.set(name, value);
        unwritten.push({ position, name, value: null, units });
      },
      length: (units) => {
        if (!kept.has(LENGTH)) add({ position, name: LENGTH, value: units, units: 0, length: units });
      },
      end: () => {
        const fresh = this.#fresh.get(position) ?? [];
        this.#fresh.delete(position);
        this.#kept.delete(position);
        return countPieces([...fresh, ...unwritten]);
      },
    };
  }

  /** Writes what is left. What cannot be written now is done again: nothing is lost but work. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.#flush();
    await this.#writing;
  }

  #flush(): void {
    this.#writing = this.#writing.then(async () => {
      const pieces = [...this.#fresh.values()].flat();
      if (pieces.length === 0) return;
      this.#fresh.clear();
      try {
        await writePieces(this.#bucket, { ...this.#at, sequence: this.#sequence++ }, pieces);
      } catch (error) {
        this.#log.warn({ err: error, pieces: pieces.length }, 'pieces could not be written; they are tried again');
        for (const piece of pieces) {
          // Of items that have ended meanwhile nothing is needed.
          if (!this.#kept.has(piece.position)) continue;
          this.#fresh.set(piece.position, [piece, ...(this.#fresh.get(piece.position) ?? [])]);
        }
      }
    });
  }
}
