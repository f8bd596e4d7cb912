import { existsSync } from 'node:fs';
import { splitModel, splitPaths } from '@batchmill/engine';
import type { Command } from 'commander';
import { CommandError } from '../errors.ts';
import { createProgress } from '../progress.ts';
import { onStopSignal } from '../signals.ts';

export function modelsCommand(program: Command): void {
  const models = program.command('models').description('model files');
  models
    .command('split')
    .description('separate a GGUF that holds text model and encoders in one into the two files that llama.cpp loads')
    .argument('<combined.gguf>')
    .option('--out <folder>', 'where the two go (default: beside the file)')
    .action(split);
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
