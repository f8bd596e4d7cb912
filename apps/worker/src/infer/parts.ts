import { setTimeout as sleep } from 'node:timers/promises';
import type { countPieces, PartWriter, ResultRecord } from '@batchmill/batch';
import { type Logger, metrics } from '@batchmill/telemetry';

/** A part is written early when this much has gathered. */
const PART_BYTES = 8 * 1024 * 1024;
/** How long the last part of a shard is tried while the bucket is away, before the shard is given back. */
const LAST_TRIES = 8;

/**
 * Gathers the records of one shard and writes them as a part every few seconds: a worker that is killed loses what is in
 * here and nothing else. A part that cannot be written stays and is tried again.
 */
export class Parts {
  readonly #writer: PartWriter;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #records: ResultRecord[] = [];
  #bytes = 0;
  #units = 0;
  #begun = { items: 0, units: 0 };
  #writing: Promise<void> = Promise.resolve();

  constructor(writer: PartWriter, intervalMs: number, log: Logger) {
    this.#writer = writer;
    this.#log = log;
    this.#timer = setInterval(() => this.#flush(), intervalMs);
  }

  /** With what no pieces in the bucket count of the item. */
  add(record: ResultRecord, { units, begun }: ReturnType<typeof countPieces>): void {
    this.#records.push(record);
    this.#units += units;
    this.#begun.items += begun?.items ?? 0;
    this.#begun.units += begun?.units ?? 0;
    this.#bytes += record.line.length;
    if (this.#bytes >= PART_BYTES) this.#flush();
  }

  /**
   * Writes what is left. `complete`: every item of the shard has a result now, which the part's name says.
   * @throws the bucket's error if it stays away; what was not written will be done again.
   */
  async end(complete: boolean): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    if (this.#records.length === 0 && !complete) return;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#writer.write(this.#records, complete, this.#units, this.#begun);
        return;
      } catch (error) {
        if (attempt === LAST_TRIES) throw error;
        metrics.retries.inc({ what: 'part' });
        this.#log.warn({ err: error, attempt }, 'results could not be written; trying again');
        await sleep(Math.min(500 * 2 ** attempt, 15_000));
      }
    }
  }

  #flush(): void {
    this.#writing = this.#writing.then(async () => {
      const records = this.#records;
      if (records.length === 0) return;
      const units = this.#units;
      const begun = this.#begun;
      this.#records = [];
      this.#bytes = 0;
      this.#units = 0;
      this.#begun = { items: 0, units: 0 };
      try {
        await this.#writer.write(records, false, units, begun);
      } catch (error) {
        this.#records = [...records, ...this.#records];
        this.#units += units;
        this.#begun = { items: this.#begun.items + begun.items, units: this.#begun.units + begun.units };
        metrics.retries.inc({ what: 'part' });
        this.#log.warn({ err: error, records: records.length }, 'a part could not be written; it is kept');
      }
    });
  }
}
