import { type Command, InvalidArgumentError } from 'commander';

/** Adds the options that `ocr` and `transcribe` share: `BulkOptions` and `model`. */
export function withBulk(command: Command): Command {
  return command
    .requiredOption('-o, --out <folder>', 'where the results go; run again with the same folder, it goes on')
    .option(
      '--url <url>',
      'server (default: BATCHMILL_URL; without either, the whole service runs inside this process)',
    )
    .option('--key <key>', 'API key of the server (default: BATCHMILL_API_KEY)')
    .option('--model <name>', 'the model, as the server calls it', 'default')
    .option('--window <time>', 'completion window: hours or days up to 7d', windowOf, '24h')
    .option('--forget', 'begin a new batch even if one is under way for this folder', false);
}

function windowOf(text: string): string {
  if (!/^[1-9]\d{0,3}[hd]$/.test(text)) throw new InvalidArgumentError('It must be hours or days, like 24h or 3d.');
  return text;
}

/** Parses an option that is a whole number. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}
