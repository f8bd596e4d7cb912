import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { dieWithUs } from './die-with-us.ts';

/** One run of the `batchmill` command, as people run it. It dies with this process at the latest. */
export class Command {
  stdout = '';
  stderr = '';
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;

  constructor(args: readonly string[], env: Record<string, string> = {}) {
    const root = fileURLToPath(new URL('../../', import.meta.url));
    const child = spawn(process.execPath, [`${root}apps/cli/src/main.ts`, ...args], {
      cwd: root,
      env: { ...process.env, LOG_LEVEL: 'error', BATCHMILL_URL: '', BATCHMILL_API_KEY: '', THREADS: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.on('data', (chunk) => {
      this.stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      this.stderr += chunk;
    });
    this.#child = child;
    dieWithUs(child);
    this.#closed = once(child, 'close');
  }

  /** Waits for its end. Gives its exit code, `null` if a signal ended it. */
  async ended(): Promise<number | null> {
    await this.#closed;
    return this.#child.exitCode;
  }

  /** Waits until it has said this on standard error. Throws if it ends before. */
  async said(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.stderr)) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null)
        throw new Error(`It ended without saying ${pattern}:\n${this.stderr}`);
      await sleep(10);
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** Runs it to its end. */
export async function runCommand(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const command = new Command(args, env);
  const code = await command.ended();
  return { code, stdout: command.stdout, stderr: command.stderr };
}
