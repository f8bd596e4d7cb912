import { readFile } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import { type BulkOptions, runBulk } from '../bulk/bulk.ts';
import { ocrJob } from '../bulk/ocr-job.ts';
import { CommandError } from '../errors.ts';
import { wholeNumber, withBulk } from './bulk.ts';

interface OcrOptions extends BulkOptions {
  format: 'md' | 'json';
  pages: boolean;
  model: string;
  annotate?: string;
  annotatePrompt?: string;
  select?: string;
  textLayer?: string;
  prompt?: string;
  dpi?: number;
  maxTokens?: number;
}

export function ocrCommand(command: Command): void {
  withBulk(
    command
      .argument('<source>', 'a folder (with all below it), a file, or s3://bucket/prefix')
      .addOption(new Option('--format <form>', 'Markdown, or the whole answer').choices(['md', 'json']).default('md'))
      .option('--pages', 'a file for each page instead of each document', false)
      .option('--annotate <schema.json>', 'also extract what this JSON schema describes from each document')
      .option('--annotate-prompt <text>', 'how to extract it')
      .option('--select <pages>', 'only these pages, counted from 1: 1-5,8', selectionOf)
      .addOption(
        new Option('--text-layer <use>', 'of PDF pages that carry their text').choices(['auto', 'ignore', 'only']),
      )
      .option('--prompt <text>', 'instruction to the model instead of the usual one')
      .option('--dpi <n>', 'resolution pages are rendered at, 72 to 600', wholeNumber)
      .option('--max-tokens <n>', 'most tokens written for one page', wholeNumber),
  ).action(ocr);
}

async function ocr(source: string, options: OcrOptions): Promise<void> {
  const { annotate, ...rest } = options;
  if (options.annotatePrompt !== undefined && annotate === undefined)
    throw new CommandError('--annotate-prompt needs --annotate with a JSON schema.');
  const job = ocrJob({
    ...rest,
    ...(annotate === undefined ? {} : { schema: await readSchema(annotate) }),
    ...(options.annotatePrompt === undefined ? {} : { annotationPrompt: options.annotatePrompt }),
  });
  await runBulk(job, source, options);
}

/** People count pages from 1, as the outputs do; the API counts from 0. */
function selectionOf(text: string): string {
  const ranges = text.split(',').map((range) => /^\s*(\d{1,9})(?:\s*-\s*(\d{1,9}))?\s*$/.exec(range));
  return ranges
    .map((range) => {
      const [first, last] = [Number(range?.[1]), Number(range?.[2] ?? range?.[1])];
      if (!(first >= 1 && last >= first))
        throw new InvalidArgumentError('It must be pages and ranges, counted from 1, like 1-5,8.');
      return first === last ? `${first - 1}` : `${first - 1}-${last - 1}`;
    })
    .join(',');
}

/** A JSON schema from a file, and a name for it. @throws CommandError */
async function readSchema(path: string): Promise<{ name: string; schema: Record<string, unknown> }> {
  const text = await readFile(path, 'utf8').catch((error: Error) => {
    throw new CommandError(`The schema cannot be read: ${error.message}`);
  });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new CommandError(`'${path}' is no JSON: ${error instanceof Error ? error.message : error}`);
  }
  const schema = z.record(z.string(), z.unknown()).safeParse(parsed);
  if (!schema.success) throw new CommandError(`'${path}' must hold a JSON schema, which is an object.`);
  const name =
    basename(path, extname(path))
      .replace(/[^\w-]/g, '_')
      .slice(0, 64) || 'annotation';
  return { name, schema: schema.data };
}
