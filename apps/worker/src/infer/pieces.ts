import { type KeptPieces, type PieceRecord, writePieces } from '@batchmill/batch';
import type { Bucket } from '@batchmill/bucket';
import type { Logger } from '@batchmill/telemetry';

/** The pieces of one item: what an earlier run left, and what this one adds. */
export interface ItemPieces {
  /** `undefined`: not done yet. */
  get(name: string): unknown;
  /** `written`: whether it may go into the bucket. Else it is kept in memory, and done again after a crash. */
  keep(name: string, value: unknown, units: number, written: boolean): void;
  /** The item has a result now: its pieces are not needed any more. Gives the units that no part in the bucket counts. */
  end(): number;
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
    let unwritten = 0;
    return {
      get: (name) => kept.get(name),
      keep: (name, value, units, written) => {
        kept.set(name, value);
        if (!written) {
          unwritten += units;
          return;
        }
        const fresh = this.#fresh.get(position) ?? [];
        fresh.push({ position, name, value, units });
        this.#fresh.set(position, fresh);
      },
      end: () => {
        const fresh = this.#fresh.get(position) ?? [];
        this.#fresh.delete(position);
        this.#kept.delete(position);
        return fresh.reduce((sum, piece) => sum + piece.units, unwritten);
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
