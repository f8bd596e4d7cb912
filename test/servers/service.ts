import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { dieWithUs } from './die-with-us.ts';

export interface ServiceOptions {
  /** Path of the entry file below the repository's root. */
  entry: string;
  /** Folder of another copy of the repository, ending in `/`. */
  root?: string;
  args?: string[];
  env: Record<string, string>;
  /** Resolves to true once the process is up, from what it has printed so far. */
  ready: (printed: string) => boolean | Promise<boolean>;
}

const START_MS = 300_000;

/**
 * As `npm run api`, `npm run worker` and the images start Node: it would let new objects take 128 MB before it looks
 * for garbage among them, which gains nothing here and makes every process that much larger.
 */
const NODE_FLAGS = ['--max-semi-space-size=8'];

/** One process of the product, run as its users run it: by Node from the sources. It dies with this process at the latest. */
export class ServiceProcess {
  /** Everything it wrote, both streams. */
  printed = '';
  /** What it wrote on standard output. */
  stdout = '';
  readonly #options: ServiceOptions;
  #child: ChildProcess | undefined;

  constructor(options: ServiceOptions) {
    this.#options = options;
  }

  static async start(options: ServiceOptions): Promise<ServiceProcess> {
    const service = new ServiceProcess(options);
    await service.start();
    return service;
  }

  /** Starts it, also again after `kill` or `end`. Throws with what it wrote if it does not come up. */
  async start(): Promise<void> {
    const { entry, args = [], env, ready } = this.#options;
    const root = this.#options.root ?? fileURLToPath(new URL('../../', import.meta.url));
    this.printed = '';
    this.stdout = '';
    const child = spawn(process.execPath, [...NODE_FLAGS, `${root}${entry}`, ...args], {
      cwd: root,
      env: { ...process.env, LOG_LEVEL: 'info', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    dieWithUs(child);
    child.stdout.on('data', (chunk) => {
      this.stdout += chunk;
      this.printed += chunk;
    });
    child.stderr.on('data', (chunk) => {
      this.printed += chunk;
    });
    this.#child = child;
    for (const end = Date.now() + START_MS; !(await ready(this.printed)); await sleep(25)) {
      if (child.exitCode === null && child.signalCode === null && Date.now() < end) continue;
      await this.kill();
      throw new Error(`${entry} did not come up (exit code ${child.exitCode}):\n${this.printed.slice(-4_000)}`);
    }
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** `null` while it runs, and if a signal ended it. */
  get exitCode(): number | null {
    return this.#child?.exitCode ?? null;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** SIGKILL: as by the kernel for want of memory. */
  async kill(): Promise<void> {
    await this.#signal('SIGKILL');
  }

  /** SIGTERM (or SIGINT), and waits for it to end by itself. Gives its exit code. */
  async end(signal: 'SIGTERM' | 'SIGINT' = 'SIGTERM'): Promise<number | null> {
    return this.#signal(signal);
  }

  /** Waits until it ends by itself. */
  async exited(): Promise<number | null> {
    if (this.#child !== undefined && this.running) await once(this.#child, 'exit');
    return this.#child?.exitCode ?? null;
  }

  async #signal(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || !this.running) return child?.exitCode ?? null;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
    return child.exitCode;
  }
}

/** An empty home folder for an embedded service. */
export async function newHome(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'batchmill-home-'));
  // As root PostgreSQL runs as another user, whose data is put elsewhere if that one cannot get in here.
  await chmod(home, 0o755);
  return home;
}

/** Most memory a process has had in MB (`VmHWM`), and what it has now (`VmRSS`). Linux only. */
export function memoryOf(pid: number): { peakMb: number; nowMb: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mb = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1] ?? Number.NaN) / 1024;
  return { peakMb: mb('VmHWM'), nowMb: mb('VmRSS') };
}
