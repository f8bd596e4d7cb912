import { loadConfig } from '@batchmill/config';
import { createLogger } from '@batchmill/telemetry';
import type { Command } from 'commander';
import { createProgress } from '../progress.ts';
import { startService } from '../service.ts';
import { onStopSignal } from '../signals.ts';

export function startCommand(command: Command): void {
  command.action(start);
}

async function start(): Promise<void> {
  const config = loadConfig();
  const progress = createProgress();
  const service = await startService({
    config,
    log: createLogger('batchmill'),
    onProgress: progress.update,
    onWarning: progress.warn,
  });
  progress.end();
  process.stdout.write(
    `Batchmill is up.\n  API        ${service.api?.url}/v1\n  reference  ${service.api?.url}/docs\n` +
      `  model      ${config.model.name}\n  data       ${config.home}\nStop with Ctrl-C; it goes on where it stopped.\n`,
  );
  await new Promise<void>((stop) => onStopSignal(() => stop()));
  process.stderr.write('Stopping: running items may finish …\n');
  await service.close();
  process.stderr.write('Stopped.\n');
}
