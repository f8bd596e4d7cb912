import { BatchFact, FinalFact, readFact, sweep } from '@batchmill/batch';
import { type Bucket, layout } from '@batchmill/bucket';
import { FileObject } from '@batchmill/contract';
import type OpenAI from 'openai';
import { z } from 'zod';

/** What was asked for in one batch, and what must have come of it. */
export interface Asked {
  /** `custom_id`s in input order. */
  customIds: readonly string[];
  /** The answer's text of an item, and its usage; `null`: it must be an error line. */
  expected(customId: string): { content: string; prompt: number; completion: number } | null;
}

/** What is wrong with a batch: `custom_id`s, and sentences. All empty: nothing is. */
export interface Findings {
  /** Items without a line. */
  lost: string[];
  /** Items with more than one. */
  doubled: string[];
  /** Counts, usage, order or answers that are not what they must be. */
  wrong: string[];
}

const Usage = z.object({ prompt_tokens: z.number(), completion_tokens: z.number() });
const ResultLine = z.object({
  id: z.string(),
  custom_id: z.string(),
  response: z
    .object({
      status_code: z.number(),
      body: z.looseObject({
        choices: z.array(z.object({ message: z.object({ content: z.string().nullable() }) })).optional(),
        usage: Usage.optional(),
      }),
    })
    .nullable(),
  error: z.object({ code: z.string() }).nullable(),
});
type ResultLine = z.infer<typeof ResultLine>;

/** Never run: expired or cancelled before there was an answer. */
const UNFINISHED: Record<string, string> = { batch_cancelled: 'cancelled', batch_expired: 'expired' };

/**
 * Holds a batch that has ended against what was asked: exactly one line per item in the two files together, each file in
 * input order, each answer that of its item, and counts and usage the sums of the lines.
 */
export async function checkBatch(client: OpenAI, batch: OpenAI.Batches.Batch, asked: Asked): Promise<Findings> {
  const findings: Findings = { lost: [], doubled: [], wrong: [] };
  const wrong = (what: string) => findings.wrong.push(`${batch.id}: ${what}`);
  const output = await linesOf(client, batch.output_file_id);
  const errors = await linesOf(client, batch.error_file_id);
  const places = new Map(asked.customIds.map((id, i) => [id, i]));
  const seen = new Set<string>();
  const lineIds = new Set<string>();
  const sum = { input: 0, output: 0 };
  for (const [name, lines] of [['output', output] as const, ['error', errors] as const]) {
    let last = -1;
    for (const line of lines) {
      const place = places.get(line.custom_id);
      if (place === undefined) wrong(`the ${name} file has ${line.custom_id}, which nobody asked for`);
      else if (place < last) wrong(`the ${name} file is out of order at ${line.custom_id}`);
      last = Math.max(last, place ?? -1);
      if (seen.has(line.custom_id)) findings.doubled.push(line.custom_id);
      seen.add(line.custom_id);
      if (lineIds.has(line.id)) wrong(`two lines have the id ${line.id}`);
      lineIds.add(line.id);
      const fault = faultOf(line, name === 'output', batch.status, asked);
      if (fault !== null) wrong(`${line.custom_id} in the ${name} file: ${fault}`);
      sum.input += line.response?.body.usage?.prompt_tokens ?? 0;
      sum.output += line.response?.body.usage?.completion_tokens ?? 0;
    }
  }
  findings.lost = asked.customIds.filter((id) => !seen.has(id));
  const counts = { total: asked.customIds.length, completed: output.length, failed: errors.length };
  for (const key of ['total', 'completed', 'failed'] as const)
    if (batch.request_counts?.[key] !== counts[key])
      wrong(`request_counts.${key} is ${batch.request_counts?.[key]}, not ${counts[key]}`);
  const { input_tokens, output_tokens, total_tokens } = batch.usage ?? {};
  if (input_tokens !== sum.input || output_tokens !== sum.output || total_tokens !== sum.input + sum.output)
    wrong(`usage is ${input_tokens} + ${output_tokens} = ${total_tokens}; its lines have ${sum.input} + ${sum.output}`);
  return findings;
}

function faultOf(line: ResultLine, ok: boolean, status: string, asked: Asked): string | null {
  const expected = asked.expected(line.custom_id);
  if (!ok) {
    const because = UNFINISHED[line.error?.code ?? ''];
    if (because !== undefined) return because === status ? null : `${line.error?.code} in a batch that is ${status}`;
    return expected === null ? null : `an error: ${JSON.stringify(line.response?.body ?? line.error)}`;
  }
  if (expected === null) return 'an answer, where an error was due';
  const { choices, usage } = line.response?.body ?? {};
  if (choices?.[0]?.message.content !== expected.content) return `the answer is ${JSON.stringify(choices)}`;
  if (usage?.prompt_tokens !== expected.prompt || usage.completion_tokens !== expected.completion)
    return `its usage is ${JSON.stringify(usage)}`;
  return null;
}

async function linesOf(client: OpenAI, fileId: string | null | undefined): Promise<ResultLine[]> {
  if (fileId == null) return [];
  const content = await (await client.files.content(fileId)).text();
  const lines = content.split('\n').filter((line) => line !== '');
  return lines.map((line) => ResultLine.parse(JSON.parse(line)));
}

const TWO_DAYS_MS = 2 * 86_400_000;

/**
 * Sweeps as it will have been swept in two days, and says of every object that is there then and should not be, one sentence
 * each: entries of open batches, what only served to run one, content without a file, entries that point nowhere. For a
 * bucket whose batches have all ended, at rest, with nothing in it but files, batches, policies, keys and speeds.
 */
export async function checkBucket(bucket: Bucket): Promise<string[]> {
  const wrong: string[] = [];
  let open = 0;
  for await (const { key } of bucket.list(layout.batch.openPrefix)) {
    open++;
    wrong.push(`${key}: no batch is open`);
  }
  if (open > 0) return wrong;
  await sweep(bucket, { triggerReconcile: async () => {} }, Date.now() + TWO_DAYS_MS);

  const keys = new Set<string>();
  for await (const { key } of bucket.list('')) keys.add(key);
  /** Whatever ought to be there, by what is. */
  const due = new Set<string>();
  for (const key of keys) {
    const [, tenant = '', id = '', name = ''] = key.split('/');
    if (['policies', 'keys', 'secrets', 'speeds'].includes(key.split('/')[0] ?? '')) due.add(key);
    else if (key.startsWith('batches/') && name === 'batch.json') {
      const fact = await readFact(bucket, key, BatchFact);
      if (fact !== null) for (const wanted of await objectsOf(bucket, fact, keys)) due.add(wanted);
    } else if (key.startsWith('files/') && name === 'meta.json') {
      const file = FileObject.parse(JSON.parse(Buffer.from((await bucket.get(key)) ?? []).toString('utf8')));
      if (file.purpose !== 'batch_output') for (const wanted of objectsOfFile(tenant, file)) due.add(wanted);
      if (id !== file.id) wrong.push(`${key}: it is the file ${file.id}`);
    }
  }
  for (const key of keys) if (!due.has(key)) wrong.push(`${key}: nothing needs it`);
  for (const key of due) if (!keys.has(key)) wrong.push(`${key}: it is missing`);
  return wrong;
}

/** All objects of a batch that has ended, its result files among them. */
async function objectsOf(bucket: Bucket, { tenant, id }: BatchFact, keys: ReadonlySet<string>): Promise<string[]> {
  const at = layout.batch;
  const objects = [at.batch(tenant, id), at.index(tenant, id)];
  const mayBe = (key: string) => {
    if (keys.has(key)) objects.push(key);
  };
  mayBe(at.cancel(tenant, id));
  for (const key of keys) if (key.startsWith(`${at.prefix(tenant, id)}retries/`)) objects.push(key);
  if (keys.has(at.failed(tenant, id))) return [...objects, at.failed(tenant, id)];
  objects.push(at.plan(tenant, id), at.finalizing(tenant, id), at.final(tenant, id));
  const final = await readFact(bucket, at.final(tenant, id), FinalFact);
  for (const file of [final?.output_file_id, final?.error_file_id]) {
    if (file == null) continue;
    const meta = await bucket.get(layout.file.meta(tenant, file));
    objects.push(layout.file.meta(tenant, file));
    if (meta !== null)
      objects.push(...objectsOfFile(tenant, FileObject.parse(JSON.parse(Buffer.from(meta).toString('utf8')))));
  }
  return objects;
}

function objectsOfFile(tenant: string, { id, expires_at: expires }: FileObject): string[] {
  const at = layout.file;
  const objects = [at.meta(tenant, id), at.content(tenant, id), at.index(tenant, id)];
  return expires === undefined ? objects : [...objects, at.expires(expires, tenant, id)];
}
