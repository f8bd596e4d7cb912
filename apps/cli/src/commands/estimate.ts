import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { BatchEstimate } from '@batchmill/contract';
import type { Command } from 'commander';
import { createClient, type ServerOptions } from '../client.ts';
import { CommandError } from '../errors.ts';
import { withServer } from './server.ts';

interface EstimateOptions extends ServerOptions {
  endpoint: string;
  json: boolean;
}

/** `estimate file.jsonl`: what a batch of it would take, before it is paid for. Sends the file, runs nothing, leaves nothing. */
export function estimateCommand(command: Command): void {
  withServer(
    command
      .argument('<input.jsonl>')
      .option('--endpoint <url>', 'endpoint of all lines', '/v1/chat/completions')
      .option('--json', 'as the server says it', false),
  ).action(async (input: string, options: EstimateOptions) => {
    if ((await stat(input).catch(() => null)) === null) throw new CommandError(`There is no file '${input}'.`);
    const client = createClient(options);
    const file = await client.files.create({ file: createReadStream(input), purpose: 'batch' });
    try {
      const body = { input_file_id: file.id, endpoint: options.endpoint };
      const estimate = BatchEstimate.parse(await client.post('/batches/estimate', { body }));
      process.stdout.write(options.json ? `${JSON.stringify(estimate)}\n` : inWords(estimate));
      if (estimate.wrong_lines > 0) process.exitCode = 1;
    } finally {
      await client.files.delete(file.id);
    }
  });
}

/** One line a figure. */
export function inWords(estimate: BatchEstimate): string {
  const { items, wrong_lines: wrong, tokens, pages, audio_minutes: minutes, now, full, measured } = estimate;
  const number = (n: number) => n.toLocaleString('en');
  const workers = (n: number) => `${n} ${n === 1 ? 'worker' : 'workers'}`;
  const guess = measured ? '' : ' (a guess: no worker has measured such work yet)';
  const at =
    now.workers === null
      ? 'now'
      : now.workers === 0
        ? 'with one worker, started now'
        : `with ${workers(now.workers)}, now`;
  const behind =
    estimate.waiting_seconds > 0 ? `, of which ${duration(estimate.waiting_seconds)} behind earlier work` : '';
  return [
    `items          ${number(items)}`,
    ...(wrong > 0 ? [`wrong lines    ${number(wrong)}: a batch of this file fails; submit it to see which lines`] : []),
    `tokens         about ${number(tokens)}`,
    ...(pages > 0 ? [`pages          about ${number(pages)}`] : []),
    ...(minutes > 0 ? [`audio          about ${number(minutes)} minutes`] : []),
    `time           ${duration(now.seconds)} ${at}${behind}${guess}`,
    `               ${duration(full.seconds)} at full scale, with ${workers(full.workers)}`,
    '',
  ].join('\n');
}

/** `2 h 5 min`, of the two largest units. */
function duration(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  const units: [string, number][] = [
    ['d', 86_400],
    ['h', 3_600],
    ['min', 60],
  ];
  const parts: string[] = [];
  let left = Math.round(seconds / 60) * 60;
  for (const [unit, size] of units) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return parts.slice(0, 2).join(' ');
}
