import { type Begun, type Bucket, layout, ObjectMissingError, parsePart } from '@batchmill/bucket';
import { InputLine } from '@batchmill/contract';
import { decodeRecords, encodeRecord, type ResultRecord } from './record.ts';

/** One item of a shard. */
export interface Item extends InputLine {
  /** Its position in the input, from 0. */
  position: number;
  /** Length of its line, as the planner's estimate takes it. */
  lineBytes: number;
}

/** All items of a shard, in input order. */
export async function readShard(bucket: Bucket, tenant: string, id: string, shard: number): Promise<Item[]> {
  const bytes = await bucket.get(layout.batch.shard(tenant, id, shard));
  if (bytes === null) throw new ObjectMissingError(`shard ${shard} of ${id} is gone`);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const tab = line.indexOf('\t');
      const lineBytes = Buffer.byteLength(line) - tab - 1;
      return { position: Number(line.slice(0, tab)), lineBytes, ...InputLine.parse(JSON.parse(line.slice(tab + 1))) };
    });
}

/** Positions of a shard's items that have results already, and whether the shard is complete. */
export async function readFinished(
  bucket: Bucket,
  tenant: string,
  id: string,
  shard: number,
): Promise<{ positions: Set<number>; done: boolean }> {
  const positions = new Set<number>();
  let done = false;
  for await (const { key } of bucket.list(layout.batch.partsOfShard(tenant, id, shard))) {
    done ||= parsePart(key)?.last ?? false;
    const bytes = await bucket.get(key);
    if (bytes !== null) for (const record of decodeRecords(bytes)) positions.add(record.position);
  }
  return { positions, done };
}

const NONE_BEGUN: Begun = { items: 0, units: 0 };

/** Writes the results one worker has for one shard, part by part. Each part is an object of its own, never touched again. */
export class PartWriter {
  #sequence = 0;
  readonly #bucket: Bucket;
  readonly #at: { tenant: string; id: string; shard: number; writer: string };

  /** `writer`: a name of its own for each run of a shard, `[a-z0-9]{1,32}`. */
  constructor(bucket: Bucket, at: { tenant: string; id: string; shard: number; writer: string }) {
    this.#bucket = bucket;
    this.#at = at;
  }

  /** Writes one part. `last`: with it every item of the shard has a result. `units`, `begun`: see `PartName`. */
  async write(records: ResultRecord[], last: boolean, units = 0, begun: Begun = NONE_BEGUN): Promise<void> {
    const { tenant, id, shard, writer } = this.#at;
    const completed = records.filter((r) => r.ok).length;
    const key = layout.batch.part(tenant, id, {
      shard,
      at: Date.now(),
      writer,
      sequence: this.#sequence++,
      completed,
      failed: records.length - completed,
      units: Math.round(units),
      ...(begun.items === 0 ? {} : { begun: { items: begun.items, units: Math.round(begun.units) } }),
      last,
    });
    await this.#bucket.put(key, records.map(encodeRecord).join(''));
  }
}
