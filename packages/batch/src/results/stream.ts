import { type Bucket, layout, parsePart } from '@batchmill/bucket';
import { readFile } from '@batchmill/files';
import { lineId } from '../finalize/line-id.ts';
import { splitLines } from '../plan/lines.ts';
import { FinalFact, FinalizingFact, PlanFact, readFact } from '../state.ts';
import { decodeRecords } from './record.ts';

const NEWLINE = Buffer.from('\n');

/**
 * What is finished of a batch, as JSONL: one line for each item that has a result, answers and errors alike. Of a batch that
 * runs, shard by shard, each in input order; of one that has ended, all in input order. If it ends while this reads, the rest
 * comes from its files, so that no item is there twice or left out. Memory holds one shard, and a bit for each item.
 * Chunks end where a line ends.
 */
export async function* streamResults(bucket: Bucket, tenant: string, id: string): AsyncGenerator<Uint8Array> {
  const at = layout.batch;
  const plan = await readFact(bucket, at.plan(tenant, id), PlanFact);
  if (plan === null) return;
  const sent = new Positions(plan.total);
  const ended = () => readFact(bucket, at.final(tenant, id), FinalFact);
  let final = await ended();
  if (final === null) {
    for (const parts of await partsByShard(bucket, tenant, id, plan)) {
      const lines = await linesOf(bucket, parts, sent);
      if (lines.length > 0) yield Buffer.from(lines.join(''));
    }
    // Parts go when the batch ends: what was not there any more is in its files now.
    final = await ended();
  }
  if (final !== null) yield* fromFiles(bucket, tenant, id, final, sent);
}

/** Which of so many positions are done. */
class Positions {
  readonly #bits: Uint8Array;

  constructor(total: number) {
    this.#bits = new Uint8Array(Math.ceil(total / 8));
  }

  has(position: number): boolean {
    return ((this.#bits[position >> 3] ?? 0) & (1 << (position & 7))) !== 0;
  }

  add(position: number): void {
    this.#bits[position >> 3] = (this.#bits[position >> 3] ?? 0) | (1 << (position & 7));
  }
}

/** The parts that count, grouped by shard, in the order of the shards; those of one shard by age. */
async function partsByShard(bucket: Bucket, tenant: string, id: string, plan: PlanFact): Promise<string[][]> {
  const frozen = await readFact(bucket, layout.batch.finalizing(tenant, id), FinalizingFact);
  const keys = [...(frozen?.parts ?? [])];
  if (frozen === null) for await (const { key } of bucket.list(layout.batch.parts(tenant, id))) keys.push(key);
  const byShard = new Map<number, string[]>();
  for (const key of keys) {
    const shard = parsePart(key)?.shard;
    if (shard === undefined) continue;
    const parts = byShard.get(shard) ?? [];
    parts.push(key);
    byShard.set(shard, parts);
  }
  return plan.shards.flatMap(({ shard }) => {
    const parts = byShard.get(shard);
    return parts === undefined ? [] : [parts.sort()];
  });
}

async function linesOf(bucket: Bucket, parts: readonly string[], sent: Positions): Promise<string[]> {
  const found = new Map<number, string>();
  for (const key of parts) {
    const bytes = await bucket.get(key);
    if (bytes === null) continue;
    for (const { position, line } of decodeRecords(bytes))
      if (!sent.has(position) && !found.has(position)) found.set(position, `${line}\n`);
  }
  for (const position of found.keys()) sent.add(position);
  return [...found].sort(([a], [b]) => a - b).map(([, line]) => line);
}

/**
 * Merges output and error file into input order: each is in it, and a line's id is made from its position (`lineId`), so going
 * through the positions says whose turn it is.
 */
async function* fromFiles(
  bucket: Bucket,
  tenant: string,
  id: string,
  final: FinalFact,
  sent: Positions,
): AsyncGenerator<Uint8Array> {
  const files: LineReader[] = [];
  for (const file of [final.output_file_id, final.error_file_id]) {
    const source = file === null ? null : await readFile(bucket, tenant, file);
    if (source !== null) files.push(await LineReader.open(source));
  }
  const chunk = new Chunk();
  for (let position = 0; position < final.total && files.some((file) => file.line !== null); position++) {
    const wanted = lineId(id, position);
    for (const file of files) {
      if (file.line === null || !isLineOf(file.line, wanted)) continue;
      if (!sent.has(position)) chunk.add(file.line);
      await file.next();
      if (chunk.full) yield chunk.take();
      break;
    }
  }
  if (!chunk.empty) yield chunk.take();
  if (files.some((file) => file.line !== null)) throw new Error(`a result file of ${id} has lines of another batch`);
}

const ID_AT = '{"id":"'.length;

function isLineOf(line: Buffer, id: string): boolean {
  return line.toString('latin1', ID_AT, ID_AT + id.length) === id;
}

/** A file line by line. */
class LineReader {
  /** The line that is next, or `null` at the end. */
  line: Buffer | null = null;
  readonly #source: AsyncIterator<{ bytes: Buffer | null }[]>;
  #lines: { bytes: Buffer | null }[] = [];
  #at = 0;

  private constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = splitLines(source, Number.POSITIVE_INFINITY)[Symbol.asyncIterator]();
  }

  static async open(source: AsyncIterable<Uint8Array>): Promise<LineReader> {
    const reader = new LineReader(source);
    await reader.next();
    return reader;
  }

  async next(): Promise<void> {
    while (this.#at >= this.#lines.length) {
      const { done, value } = await this.#source.next();
      if (done === true) {
        this.line = null;
        return;
      }
      this.#lines = value;
      this.#at = 0;
    }
    this.line = this.#lines[this.#at++]?.bytes ?? null;
  }
}

/** Lines that go out together. */
class Chunk {
  #pieces: Buffer[] = [];
  #bytes = 0;

  get empty(): boolean {
    return this.#bytes === 0;
  }

  get full(): boolean {
    return this.#bytes >= 256 * 1024;
  }

  add(line: Buffer): void {
    // A copy: the memory of what was read may be reused by its source.
    this.#pieces.push(Buffer.from(line), NEWLINE);
    this.#bytes += line.length + 1;
  }

  take(): Buffer {
    const whole = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#bytes = 0;
    return whole;
  }
}
