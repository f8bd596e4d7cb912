import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dieWithUs } from './die-with-us.ts';

const START_MS = 60_000;

/** What a test needs to break a server and to bring it back. */
export interface TestServer {
  /** Ends it and removes its data. */
  stop(): Promise<void>;
  /** SIGKILL, as by a power cut. Its data stays. Resolves when it is dead. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, at the same address with the same data. Resolves when it answers. */
  start(): Promise<void>;
  /** SIGSTOP: the kernel accepts connections, and nothing ever answers. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
}

/** A server program in a temporary folder of its own. It dies with this process, unless that is killed by SIGKILL. */
export class ServerProcess implements TestServer {
  readonly folder: string;
  readonly #name: string;
  readonly #command: (folder: string) => [program: string, ...args: string[]];
  readonly #answers: () => Promise<boolean>;
  readonly #litter: string[];
  #child: ChildProcess | undefined;

  /** @param litter files that the program leaves elsewhere than in its folder */
  constructor(
    name: string,
    command: (folder: string) => [program: string, ...args: string[]],
    answers: () => Promise<boolean>,
    litter: string[] = [],
  ) {
    this.#name = name;
    this.#command = command;
    this.#answers = answers;
    this.#litter = litter;
    this.folder = mkdtempSync(join(tmpdir(), `batchmill-${name}-`));
  }

  /** Throws with the end of the server's log if it ends, or if it does not answer in time. */
  async start(): Promise<void> {
    const [program, ...args] = this.#command(this.folder);
    const log = openSync(this.#log, 'a');
    const child = spawn(program, args, { stdio: ['ignore', log, log], cwd: this.folder });
    dieWithUs(child);
    closeSync(log);
    let failure: Error | undefined;
    child.once('error', (error) => {
      failure = error;
    });
    child.once('exit', (code, signal) => {
      failure ??= new Error(`it ended with ${signal ?? code}`);
    });
    this.#child = child;
    for (const end = Date.now() + START_MS; !(await this.#answers()); await sleep(50)) {
      if (failure === undefined && Date.now() > end) failure = new Error('it does not answer');
      if (failure === undefined) continue;
      await this.kill();
      throw new Error(`${this.#name} did not start: ${failure.message}\n${this.#endOfLog()}`);
    }
  }

  async stop(): Promise<void> {
    await this.kill();
    for (const path of [this.folder, ...this.#litter]) rmSync(path, { recursive: true, force: true });
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  get #log(): string {
    return join(this.folder, 'log');
  }

  #endOfLog(): string {
    return readFileSync(this.#log, 'utf8').split('\n').slice(-20).join('\n');
  }
}

/**
 * Starts what `make` makes. If it does not come up, it is removed and made anew, twice: somebody may have taken one of its
 * ports.
 */
export async function startNew<T extends TestServer>(make: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    const server = await make();
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.stop();
      if (tries === 3) throw error;
    }
  }
}
