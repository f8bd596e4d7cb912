import { existsSync } from 'node:fs';
import { memoryNeeds, splitModel, splitPaths } from '@batchmill/engine';
import type { Command } from 'commander';
import { CommandError } from '../errors.ts';
import { createProgress } from '../progress.ts';
import { onStopSignal } from '../signals.ts';

export function modelsCommand(models: Command): void {
  models
    .command('split')
    .description('separate a GGUF that holds text model and encoders in one into the two files that llama.cpp loads')
    .argument('<combined.gguf>')
    .option('--out <folder>', 'where the two go (default: beside the file)')
    .action(split);
  models
    .command('size')
    .description('what a model takes in memory, for so many slots: the formula is in docs/operations.md')
    .argument('<model.gguf>')
    .option('--mmproj <file>', 'the GGUF with its encoders')
    .option('--slots <n>', 'requests answered side by side', whole, 4)
    .option('--context <tokens>', 'context of one slot', whole, 8_192)
    .option('--image-tokens <n>', 'most tokens one picture may take', whole, 1_120)
    .option('--memory <gigabytes>', 'of the GPU: says how many slots fit', Number)
    .option('--json', 'bytes, for scripts')
    .action(size);
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new CommandError(`'${text}' is no whole number above 0.`);
  return value;
}

interface SizeOptions {
  mmproj?: string;
  slots: number;
  context: number;
  imageTokens: number;
  memory?: number;
  json?: boolean;
}

/** Left for the engine's scratch, the graphics driver and the encoders' work. */
const SCRATCH = 2 ** 30;

function size(path: string, options: SizeOptions): void {
  const batch = options.mmproj === undefined ? 512 : Math.max(512, options.imageTokens);
  const needs = memoryNeeds(path, options.mmproj ?? null, { contextTokens: options.context, batch });
  const cache = needs.slot * options.slots;
  const total = needs.weights + needs.projector + cache + SCRATCH;
  const room = options.memory === undefined ? null : options.memory * 2 ** 30 - (total - cache);
  const fit = room === null ? null : Math.max(0, Math.floor(room / needs.slot));
  if (options.json === true) {
    const figures = { ...needs, slots: options.slots, cache, scratch: SCRATCH, total };
    process.stdout.write(`${JSON.stringify(fit === null ? figures : { ...figures, slots_that_fit: fit })}\n`);
    return;
  }
  const line = (what: string, bytes: number) => `${what.padEnd(34)}${(bytes / 2 ** 20).toFixed(0).padStart(8)} MiB\n`;
  process.stdout.write(
    line('text model', needs.weights) +
      line('encoders', needs.projector) +
      line(`cache, ${options.slots} slots of ${options.context} tokens`, cache) +
      line('  of one slot', needs.slot) +
      line('scratch, by rule of thumb', SCRATCH) +
      line('together', total) +
      (fit === null ? '' : `${fit} such slots fit in ${options.memory} GiB.\n`),
  );
}

async function split(path: string, options: { out?: string }): Promise<void> {
  const pair = splitPaths(path, options.out);
  const there = [pair.model, pair.mmproj].find((part) => existsSync(part));
  if (there !== undefined)
    throw new CommandError(`${there} is there already. Remove it, or name another folder with --out.`);

  const progress = createProgress();
  const stop = new AbortController();
  const stopListening = onStopSignal(() => stop.abort());
  try {
    await splitModel(path, pair, {
      signal: stop.signal,
      onProgress: (written, total) => progress.update('splitting', written, total),
    });
  } finally {
    stopListening();
    progress.end();
  }
  process.stdout.write(`MODEL=${pair.model}\nMMPROJ=${pair.mmproj}\n`);
}
