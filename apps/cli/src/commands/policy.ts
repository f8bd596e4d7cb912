import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { loadConfig } from '@batchmill/config';
import {
  ACTIONS,
  type Action,
  createJudge,
  type Judge,
  localFilters,
  type Policy,
  PolicyError,
  policyHash,
} from '@batchmill/safety';
import { parsePolicy } from '@batchmill/safety/policy-file';
import { createLogger } from '@batchmill/telemetry';
import type { Command } from 'commander';
import { z } from 'zod';
import { CommandError } from '../errors.ts';

/** `policy check|test`: works on files, with nothing running. */
export function policyCommand(policy: Command): void {
  policy
    .command('check')
    .description('say what is wrong in policy files, with lines')
    .argument('<files...>')
    .action(async (files: string[]) => {
      let wrong = 0;
      for (const file of files) {
        try {
          const read = await readPolicyFile(file);
          process.stdout.write(`${file}: ok, policy '${read.name}' ${policyHash(read)}\n`);
        } catch (error) {
          if (!(error instanceof PolicyError)) throw error;
          wrong++;
          process.stderr.write(`${error.message}\n`);
        }
      }
      if (wrong > 0) throw new CommandError(`${wrong} of ${files.length} files cannot be used.`);
    });

  policy
    .command('test')
    .description('judge labelled texts by a policy and count where it differs from the labels')
    .argument('<file>', 'the policy')
    .requiredOption(
      '--on <labelled.jsonl>',
      'lines of {"text": "…", "expect": "pass|annotate|redact|block"}, with "asked": "…" where filters should see the question',
    )
    .option('--with-models', 'ask the guard model (GUARD_MODEL) and the moderation endpoint (MODERATIONS_URL) too')
    .option('--show', 'print the texts that were judged otherwise (default: only their lines)')
    .action(async (file: string, options: { on: string; show?: boolean; withModels?: boolean }) => {
      const read = await readPolicyFile(file);
      const safety = options.withModels === true ? await safetyOfWorkers() : null;
      const all = safety === null ? await localFilters(read) : (await safety.of(read)).filters;
      const filters = all.filter(({ name }) => name !== 'self_judge');
      const missing = filters.find(({ unavailable }) => unavailable !== undefined)?.unavailable;
      if (missing !== undefined) throw new CommandError(`${missing.message}.`);
      const left = Object.keys(read.filters).filter(
        (name) => ASK_A_MODEL.includes(name) && !filters.some((filter) => filter.name === name),
      );
      if (left.length > 0)
        process.stderr.write(
          `Left out, since they ask a model: ${left.join(', ')}. What they would find is not counted.${safety === null && left.some((name) => name !== 'self_judge') ? ' With --with-models they are asked.' : ''}\n`,
        );
      const results = await judgeLines(createJudge(read, filters), options.on).finally(() => safety?.close());
      process.stdout.write(table(results));
      const wrong = results.filter(({ expected, got }) => expected !== got);
      for (const { line, expected, got, text } of wrong)
        process.stdout.write(
          `line ${line}: expected ${expected}, got ${got}${options.show ? `: ${JSON.stringify(text)}` : ''}\n`,
        );
      process.stdout.write(`${results.length - wrong.length} of ${results.length} as expected.\n`);
      if (wrong.length > 0) process.exitCode = 1;
    });
}

/** What a worker with these settings would judge by. Loaded only where it is wanted: engines come with it. */
async function safetyOfWorkers() {
  const { openSafety } = await import('@batchmill/worker/safety');
  return openSafety(loadConfig(), createLogger('policy'));
}

const ASK_A_MODEL = ['guard', 'self_judge', 'moderations'];

async function readPolicyFile(file: string): Promise<Policy> {
  const text = await readFile(file, 'utf8').catch(() => {
    throw new CommandError(`There is no file '${file}'.`);
  });
  return parsePolicy(text, file);
}

const OUTCOMES = ['pass', ...ACTIONS] as const;
type Outcome = (typeof OUTCOMES)[number];
const Labelled = z.object({ text: z.string(), expect: z.enum(OUTCOMES), asked: z.string().optional() });

interface Result {
  line: number;
  text: string;
  expected: Outcome;
  got: Outcome;
}

async function judgeLines(judge: Judge, file: string): Promise<Result[]> {
  const results: Result[] = [];
  let line = 0;
  const input = createReadStream(file, 'utf8');
  const missing = new Promise<never>((_, reject) => {
    input.on('error', () => reject(new CommandError(`There is no file '${file}'.`)));
  });
  missing.catch(() => {});
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })[Symbol.asyncIterator]();
  for (
    let next = await Promise.race([lines.next(), missing]);
    next.done !== true;
    next = await Promise.race([lines.next(), missing])
  ) {
    line++;
    if (next.value.trim() === '') continue;
    const { text, expect: expected, asked } = labelled(next.value, line);
    const [judged] = await judge.judge([{ id: 'text', text }], {
      tenant: 'default',
      batchId: 'test',
      customId: `${line}`,
      asked: asked === undefined ? [] : [{ role: 'user', text: asked }],
      selfVerdicts: [],
      signal: new AbortController().signal,
    });
    const strongest = (judged?.findings ?? []).reduce<Action | null>(
      (most, { action }) => (most === null || ACTIONS.indexOf(action) > ACTIONS.indexOf(most) ? action : most),
      null,
    );
    results.push({ line, text, expected, got: strongest ?? 'pass' });
  }
  return results;
}

function labelled(line: string, number: number): z.infer<typeof Labelled> {
  try {
    return Labelled.parse(JSON.parse(line));
  } catch {
    throw new CommandError(`Line ${number} is not {"text": "…", "expect": "${OUTCOMES.join('|')}"}.`);
  }
}

/** Expected down, got across. */
function table(results: readonly Result[]): string {
  const count = (expected: Outcome, got: Outcome) =>
    results.filter((r) => r.expected === expected && r.got === got).length;
  const row = (head: string, cells: readonly (string | number)[]) =>
    `${head.padEnd(18)}${cells.map((cell) => String(cell).padStart(10)).join('')}\n`;
  return (
    row('expected \\ got', OUTCOMES) +
    OUTCOMES.map((expected) =>
      row(
        expected,
        OUTCOMES.map((got) => count(expected, got)),
      ),
    ).join('')
  );
}
