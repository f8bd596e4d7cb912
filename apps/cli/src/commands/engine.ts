import { ensureLlamaServer } from '@batchmill/engine';
import type { Command } from 'commander';
import { createProgress } from '../progress.ts';

export function engineCommand(program: Command): void {
  const engine = program.command('engine').description('the inference engine');
  engine
    .command('build')
    .description('find llama-server, or build it once against the libraries node-llama-cpp ships')
    .action(async () => {
      const progress = createProgress();
      try {
        const found = await ensureLlamaServer({
          onProgress: (done, total, message) => progress.update(message, done, total),
        });
        progress.end();
        for (const warning of found.warnings) process.stderr.write(`Warning: ${warning}\n`);
        process.stdout.write(`${found.path}\n`);
        process.stderr.write(`llama-server ${found.version}\n`);
      } finally {
        progress.end();
      }
    });
}
