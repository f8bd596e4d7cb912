import { ensureLlamaServer } from '@batchmill/engine';
import { type Command, Option } from 'commander';
import { createProgress } from '../progress.ts';

interface BuildOptions {
  gpu?: 'cpu' | 'cuda' | 'vulkan' | 'metal';
  forImage: boolean;
}

export function engineCommand(engine: Command): void {
  engine
    .command('build')
    .description('find llama-server, or build it once against the libraries node-llama-cpp ships; prints its path')
    .addOption(
      new Option('--gpu <kind>', 'kernels to have (default: the best this machine can use)').choices([
        'cpu',
        'cuda',
        'vulkan',
        'metal',
      ]),
    )
    .option('--for-image', 'it will run on another machine: this one need not have the GPU', false)
    .action(build);
}

async function build(options: BuildOptions): Promise<void> {
  const progress = createProgress();
  try {
    const found = await ensureLlamaServer({
      ...(options.gpu === undefined ? {} : { gpu: options.gpu }),
      forAnotherMachine: options.forImage,
      onProgress: (done, total, message) => progress.update(message, done, total),
    });
    progress.end();
    for (const warning of found.warnings) process.stderr.write(`Warning: ${warning}\n`);
    process.stdout.write(`${found.path}\n`);
    process.stderr.write(`llama-server ${found.version}\n`);
  } finally {
    progress.end();
  }
}
