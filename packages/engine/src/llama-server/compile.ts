import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { freemem } from 'node:os';
import { delimiter, join } from 'node:path';
import { cores } from '../cores.ts';

/** A command that ended badly; the message is what it printed. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** Runs a command to its end. @throws CommandError with the end of its output when it fails. */
export function command(name: string, args: readonly string[], cwd: string, signal?: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    // A user's git configuration (hooks, templates, line ends) has no say in what is built.
    const env = { ...process.env, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', LC_ALL: 'C' };
    const child = spawn(name, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], ...(signal ? { signal } : {}) });
    let output = '';
    const keep = (chunk: string) => {
      output = (output + chunk).slice(-20_000);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new CommandError(`${name} failed (${code}):\n${output.trim().slice(-2_000)}`));
    });
  });
}

/** The path of a program on the PATH, or null. */
export function onPath(program: string): string | null {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    if (folder === '') continue;
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

/** The C++ compiler: `CXX`, else the first on the PATH. */
export function compiler(): string | null {
  const chosen = process.env.CXX;
  if (chosen) return onPath(chosen) ?? chosen;
  return onPath('c++') ?? onPath('g++') ?? onPath('clang++');
}

/** Memory one compiler takes at most here (0.58 GB was seen). */
const MEMORY_PER_JOB = 800e6;

/** Runs all jobs, as many at once as there are cores and memory for. The first failure stops the rest. */
export async function inParallel<T>(
  jobs: readonly T[],
  work: (job: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const width = Math.max(1, Math.min(cores(), Math.floor(freemem() / MEMORY_PER_JOB)));
  const queue = jobs[Symbol.iterator]();
  const stop = new AbortController();
  const lane = async () => {
    for (const job of queue) {
      if (stop.signal.aborted) return;
      await work(job, stop.signal);
    }
  };
  try {
    await Promise.all(Array.from({ length: width }, lane));
  } catch (error) {
    stop.abort();
    throw error;
  }
}
