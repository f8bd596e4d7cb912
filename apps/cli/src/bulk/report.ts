import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from './replace-file.ts';
import type { Found } from './sources.ts';
import type { Problem, StateFile } from './state.ts';

const LINES_SHOWN = 20;

/** What to do about a code, where the service's message is for those who write requests. */
const WHAT_TO_DO: Readonly<Record<string, string>> = {
  url_not_allowed:
    'The service may not read these s3:// URLs. Whoever runs it allows a prefix with S3_INPUTS, for example S3_INPUTS=\'{"*":["s3://bucket/prefix/"]}\', on its infer workers.',
  unsupported_modality:
    'The model that the service holds cannot read pictures or recordings. Give it one that can, with its MMPROJ.',
  model_not_found: 'The service holds another model. Leave --model out to take whatever it holds.',
  batch_cancelled: 'Run the same command again to send what was cancelled.',
  batch_expired: 'Run the same command again, with a longer --window, to send what was not done.',
  too_many_tasks:
    'The service takes fewer items in a batch. Whoever runs it raises MAX_BATCH_ITEMS; or work on one folder at a time, each with an --out of its own.',
  encrypted_document: 'Save the encrypted documents without a password.',
};

interface Failure extends Problem {
  file: string;
}

/** What is there and deserves a look, or is missing in the source itself: no failure. */
const DOUBTS: ReadonlySet<string> = new Set(['truncated', 'repeated', 'dropped', 'no_text', 'cut_off']);
const isDoubt = ({ code }: Problem) => code !== null && DOUBTS.has(code);

/**
 * Says on standard error what is there and what is not, writes `failures.jsonl` (one line for each file, page or stretch that
 * is missing or doubtful; none if there are none), and sets the exit code to 1 if anything is missing.
 */
export async function report(file: StateFile, found: Found, outShown: string): Promise<void> {
  const failures: Failure[] = [];
  let [written, failed, incomplete, doubtful] = [0, 0, 0, 0];
  for (const { path } of found.sources) {
    const result = file.state.sources[path]?.result;
    if (result === undefined) continue;
    for (const problem of result.problems) failures.push({ file: path, ...problem });
    if (result.failed) failed++;
    else {
      written++;
      if (!result.problems.every(isDoubt)) incomplete++;
      else if (result.problems.length > 0) doubtful++;
    }
  }
  failures.sort((a, b) => Number(isDoubt(a)) - Number(isDoubt(b)));
  const list = join(file.out, 'failures.jsonl');
  if (failures.length === 0) await rm(list, { force: true });
  else await replaceFile(list, failures.map((failure) => `${JSON.stringify(failure)}\n`).join(''));

  const lines = [`${written} of ${found.sources.length} files are done, in ${outShown}.`];
  if (found.skipped.length > 0) {
    lines.push(`Passed over: ${found.skipped.length}`);
    lines.push(
      ...shown(
        found.skipped.map(({ path, reason }) => `${path}: ${reason}`),
        'more',
      ),
    );
  }
  if (failures.length > 0) {
    lines.push(`Failed: ${failed}. Incomplete: ${incomplete}. Doubtful: ${doubtful}.`);
    lines.push(...shown(failures.map(describe), `more in ${join(outShown, 'failures.jsonl')}`));
    for (const code of new Set(failures.map((failure) => failure.code ?? ''))) {
      const advice = WHAT_TO_DO[code];
      if (advice !== undefined) lines.push(advice);
    }
    if (failed + incomplete > 0) process.exitCode = 1;
  }
  process.stderr.write(`${lines.join('\n')}\n`);
}

function describe({ file, at, message }: Failure): string {
  return `${file}: ${at === undefined ? '' : `${at}: `}${message}`;
}

/** The first lines, indented, and how many there are beside. */
function shown(all: string[], rest: string): string[] {
  const lines = all.slice(0, LINES_SHOWN).map((line) => `  ${line}`);
  return all.length > LINES_SHOWN ? [...lines, `  … and ${all.length - LINES_SHOWN} ${rest}`] : lines;
}
