import { type Command, InvalidArgumentError, Option } from 'commander';
import { type BulkOptions, runBulk } from '../bulk/bulk.ts';
import { FORMATS, type TranscriptFormat, transcriptionJob } from '../bulk/transcription-job.ts';
import { wholeNumber, withBulk } from './bulk.ts';

interface TranscribeOptions extends BulkOptions {
  format: TranscriptFormat;
  model: string;
  translate: boolean;
  language?: string;
  labels?: [string, string];
  prompt?: string;
  maxTokens?: number;
}

export function transcribeCommand(command: Command): void {
  withBulk(
    command
      .argument('<source>', 'a folder (with all below it), a file, or s3://bucket/prefix')
      .addOption(
        new Option('--format <form>', 'plain text, subtitles, or segments with times as JSON')
          .choices(FORMATS)
          .default('txt'),
      )
      .option('--language <code>', 'what is spoken: en, de, …')
      .option('--labels <left,right>', 'two-channel recordings: who is on which channel', labelsOf)
      .option('--translate', 'into English', false)
      .option('--prompt <text>', 'names and words to expect')
      .option('--max-tokens <n>', 'most tokens written for one stretch of speech', wholeNumber),
  ).action(async (source: string, options: TranscribeOptions) => {
    await runBulk(transcriptionJob(options), source, options);
  });
}

function labelsOf(text: string): [string, string] {
  const [left = '', right = '', ...more] = text.split(',').map((label) => label.trim());
  if (left === '' || right === '' || left === right || more.length > 0)
    throw new InvalidArgumentError('It must be two different names with a comma between: agent,customer.');
  return [left, right];
}
