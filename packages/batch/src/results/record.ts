import { FindingCounts, type OutputLine, type Usage } from '@batchmill/contract';
import { z } from 'zod';

/**
 * A finished item on its way from the worker to the finalizer. In a part each takes one line: a small header, a tab, and
 * the output line as it will be delivered, so that the finalizer copies lines without parsing them. JSON as
 * `JSON.stringify` writes it has no raw tab, so the first one ends the header.
 */
export interface ResultRecord {
  /** The item's position in the input, from 0. */
  position: number;
  /** Delivered in the output file (`true`) or in the error file. */
  ok: boolean;
  usage: Usage | null;
  /** What the content filters found in it, for the summary of the batch; `null`: nothing. */
  findings: FindingCounts | null;
  /** JSON of an `OutputLine`, without line break. */
  line: string;
}

export function resultRecord(
  position: number,
  line: OutputLine,
  usage: Usage | null,
  findings: FindingCounts | null = null,
): ResultRecord {
  const ok = line.error === null && line.response?.status_code === 200;
  return { position, ok, usage, findings, line: JSON.stringify(line) };
}

/** [position, 1 = output | 0 = error, input, cached, output, reasoning tokens, and findings if there are any] */
const Header = z.tuple([
  z.number().int(),
  z.literal([0, 1]),
  z.number(),
  z.number(),
  z.number(),
  z.number(),
  FindingCounts.optional(),
]);

export function encodeRecord(record: ResultRecord): string {
  const { usage } = record;
  const header: z.infer<typeof Header> = [
    record.position,
    record.ok ? 1 : 0,
    usage?.input_tokens ?? 0,
    usage?.input_tokens_details.cached_tokens ?? 0,
    usage?.output_tokens ?? 0,
    usage?.output_tokens_details.reasoning_tokens ?? 0,
    ...(record.findings === null ? ([] as const) : ([record.findings] as const)),
  ];
  return `${JSON.stringify(header)}\t${record.line}\n`;
}

/** Inverse of `encodeRecord` over a whole part. Throws on a part that is damaged: it must never be delivered in part. */
export function decodeRecords(part: Uint8Array): ResultRecord[] {
  const text = Buffer.from(part.buffer, part.byteOffset, part.byteLength).toString('utf8');
  const records: ResultRecord[] = [];
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start);
    const tab = text.indexOf('\t', start);
    if (end === -1 || tab === -1 || tab > end) throw new Error('a results part is damaged');
    const [position, ok, input, cached, output, reasoning, findings] = Header.parse(JSON.parse(text.slice(start, tab)));
    records.push({
      position,
      ok: ok === 1,
      usage: {
        input_tokens: input,
        input_tokens_details: { cached_tokens: cached },
        output_tokens: output,
        output_tokens_details: { reasoning_tokens: reasoning },
        total_tokens: input + output,
      },
      findings: findings ?? null,
      line: text.slice(tab + 1, end),
    });
    start = end + 1;
  }
  return records;
}
