import { ConfigError } from '@batchmill/config';
import { EngineError } from '@batchmill/engine';
import { PolicyError } from '@batchmill/safety';
import { Command } from 'commander';
import { APIError } from 'openai';
import { auditCommands } from './commands/audit.ts';
import { batchCommands } from './commands/batches.ts';
import { demoCommand } from './commands/demo.ts';
import { engineCommand } from './commands/engine.ts';
import { estimateCommand } from './commands/estimate.ts';
import { keysCommand } from './commands/keys.ts';
import { modelsCommand } from './commands/models.ts';
import { ocrCommand } from './commands/ocr.ts';
import { policyCommand } from './commands/policy.ts';
import { runCommand } from './commands/run.ts';
import { startCommand } from './commands/start.ts';
import { submitCommand } from './commands/submit.ts';
import { transcribeCommand } from './commands/transcribe.ts';
import { CommandError } from './errors.ts';
import { HomeInUseError } from './lock.ts';

const program = new Command('batchmill')
  .description('Batch inference for multimodal GGUF models, on a queue and a bucket')
  .showHelpAfterError();

for (const register of [
  startCommand,
  demoCommand,
  runCommand,
  submitCommand,
  estimateCommand,
  ocrCommand,
  transcribeCommand,
  batchCommands,
  keysCommand,
  policyCommand,
  auditCommands,
  engineCommand,
  modelsCommand,
])
  register(program);

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
}

/** Errors people can act on are said in plain words; anything else is ours and comes with its stack. */
function explain(error: unknown): string {
  if (error instanceof APIError) {
    if (error.status === undefined)
      return 'The server does not answer. Is it running, and is --url (or BATCHMILL_URL) right?';
    return `${error.message}${error.requestID == null ? '' : ` (request ${error.requestID})`}`;
  }
  for (const kind of [CommandError, ConfigError, PolicyError, EngineError, HomeInUseError])
    if (error instanceof kind) return error.message;
  if (error instanceof Error) return process.env.LOG_LEVEL === 'debug' ? (error.stack ?? error.message) : error.message;
  return String(error);
}
