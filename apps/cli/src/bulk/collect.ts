import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { splitLines } from '@batchmill/batch/lines';
import type OpenAI from 'openai';
import { z } from 'zod';
import { CommandError } from '../errors.ts';
import type { Batch } from './batch.ts';
import type { Job, Outputs } from './job.ts';
import { replaceFile } from './replace-file.ts';
import type { Problem, SourceState, StateFile } from './state.ts';
import { customId } from './upload.ts';

/** One line of an output or error file. */
const ResultLine = z.object({
  custom_id: z.string(),
  response: z.object({ status_code: z.number(), body: z.unknown() }).nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
});
type ResultLine = z.infer<typeof ResultLine>;

const ErrorAnswer = z.object({
  error: z.object({ message: z.string(), code: z.string().nullable(), param: z.string().nullish() }),
});

/** A whole document of 5,000 pages is one line. */
const MAX_LINE_BYTES = 512 * 2 ** 20;
const IN_THE_WAY: ReadonlySet<string> = new Set(['ENOTDIR', 'EISDIR', 'EEXIST', 'ENOTEMPTY', 'ENAMETOOLONG']);

/**
 * Writes what a batch made of each of its sources and notes in the state how each came out. May be repeated, and does the
 * same again: the state forgets the batch only when all is written.
 */
export async function collect(client: OpenAI, batch: Batch, job: Job, file: StateFile): Promise<void> {
  const { sources } = file.state;
  const sent = new Map<string, SourceState>();
  for (const [path, source] of Object.entries(sources)) if (source.sent !== undefined) sent.set(customId(path), source);
  for (const id of [batch.output_file_id, batch.error_file_id]) {
    if (id === null) continue;
    for await (const line of linesOf(client, id)) {
      const source = sent.get(line.custom_id);
      if (source === undefined) continue;
      await settle(source, line, job, file.out);
      sent.delete(line.custom_id);
    }
  }
  // A batch that failed as a whole has no lines.
  const why = batch.errors?.data[0]?.message ?? `The batch ended as ${batch.status} without an answer to this.`;
  for (const source of sent.values())
    await settle(source, unanswered(batch.errors?.data[0]?.code ?? null, why), job, file.out);
}

function unanswered(code: string | null, message: string): ResultLine {
  return { custom_id: '', response: null, error: { code: code ?? 'no_answer', message } };
}

async function* linesOf(client: OpenAI, fileId: string): AsyncGenerator<ResultLine> {
  const response = await client.files.content(fileId);
  if (response.body === null) throw new CommandError(`The service sent no content for ${fileId}.`);
  for await (const lines of splitLines(Readable.fromWeb(response.body), MAX_LINE_BYTES))
    for (const { bytes, number } of lines) {
      if (bytes === null) throw new CommandError(`Line ${number} of ${fileId} is longer than ${MAX_LINE_BYTES} bytes.`);
      yield ResultLine.parse(JSON.parse(bytes.toString('utf8')));
    }
}

/** Writes the outputs of one source and notes how it came out. */
async function settle(source: SourceState, line: ResultLine, job: Job, out: string): Promise<void> {
  const { sent } = source;
  if (sent === undefined) return;
  const { files, problems } = outputsOf(line, job);
  const before = source.result?.outputs ?? [];
  const fail = (why: Problem[]) => {
    source.result = { ...sent, failed: true, outputs: before, problems: why };
  };
  if (files.length === 0) return fail(problems);
  try {
    for (const { suffix, content } of files) await replaceFile(join(out, source.name + suffix), content);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    // A disk that is full, or a folder that may not be written, stops it all; a name in the way is one source's bad luck.
    if (!(error instanceof Error) || !IN_THE_WAY.has(code)) throw error;
    return fail([{ code: 'output_not_written', message: `Its output cannot be written: ${error.message}` }]);
  }
  const outputs = files.map(({ suffix }) => source.name + suffix);
  // What an earlier run made of it and this one did not, such as pages that are no more.
  for (const old of before) if (!outputs.includes(old)) await rm(join(out, old), { force: true });
  source.result = { ...sent, failed: false, outputs, problems };
}

function outputsOf(line: ResultLine, job: Job): Outputs {
  if (line.response === null) return { files: [], problems: [neverRun(line.error)] };
  const { status_code: status, body } = line.response;
  if (status !== 200) {
    const { error } = ErrorAnswer.safeParse(body).data ?? {};
    const message = error === undefined ? `The service answered ${status}.` : plainMessage(error);
    return { files: [], problems: [{ code: error?.code ?? null, message }] };
  }
  try {
    return job.outputsOf(body);
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    const message = 'The answer of the service is not what this version understands.';
    return { files: [], problems: [{ code: 'unexpected_answer', message }] };
  }
}

/** Without the parameter's name in front: people here have written no request. */
function plainMessage({ message, param }: z.infer<typeof ErrorAnswer>['error']): string {
  return param != null && message.startsWith(`${param}: `) ? message.slice(param.length + 2) : message;
}

function neverRun(error: ResultLine['error']): Problem {
  const code = error?.code ?? null;
  if (code === 'batch_cancelled') return { code, message: 'The batch was cancelled before this was done.' };
  if (code === 'batch_expired') return { code, message: 'The batch ran out of time (--window) before this was done.' };
  return { code, message: error?.message ?? 'It was not answered.' };
}
