import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineDeath } from '../port.ts';

/** Characters kept of what the process wrote last. */
const TAIL = 8_000;
/** How long a process may take to end when asked to. */
const PATIENCE_MS = 5_000;

/**
 * The server must not outlive its parent, not even one that is killed with SIGKILL. So a shell starts it: in the
 * background it reads a pipe that only the parent holds open and, when the pipe ends without a word, kills the server and
 * removes its folder; in the foreground it becomes the server (same process id, exit code and signal). A line on the pipe
 * ends the watch.
 */
const START =
  'folder=$1; shift; (read -r line <&3 || { kill -9 $$; rm -rf "$folder"; }) >/dev/null 2>&1 & exec "$0" "$@" 3<&-';

/** Variables the server may see: none of ours, as keys to queue and bucket are among them. */
const PASSED_ON =
  /^(PATH|HOME|LANG|LC_.*|TMPDIR|TZ|LD_LIBRARY_PATH|DYLD_.*|(LLAMA_ARG|GGML|CUDA|NVIDIA|NCCL|HIP|ROCR|VK|MESA|OMP|XDG)_.*)$/;

/** A child process of ours: what it wrote last, and how it ended. */
export class ServerProcess {
  readonly pid: number;
  /** Settles when it has ended, however. */
  readonly ended: Promise<EngineDeath>;
  #tail = '';
  readonly #child: ChildProcess;

  /**
   * @param folder of the server's own, removed if this process is killed.
   * @throws Error when no process can be made at all. A program that is not there ends with code 126 or 127.
   */
  static async start(program: string, args: readonly string[], folder: string): Promise<ServerProcess> {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => PASSED_ON.test(name)));
    const child = spawn('/bin/sh', ['-c', START, program, folder, ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      // A group of its own: Ctrl-C in a terminal is for the parent, which ends the server when its work is done.
      detached: true,
    });
    await once(child, 'spawn');
    return new ServerProcess(child);
  }

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    const watch = child.stdio[3];
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => {
        this.#tail = (this.#tail + chunk).slice(-TAIL);
      });
    }
    // Writing to a watch that has ended already is no error.
    watch?.on('error', () => {});
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal, stderr: this.#tail.trimEnd() }));
    });
    child.once('exit', () => {
      if (watch !== null && watch !== undefined && 'end' in watch) watch.end('ended\n');
    });
  }

  get tail(): string {
    return this.#tail.trimEnd();
  }

  /** Asks it to end; after some seconds it is not asked any more. Safe to call twice. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGTERM');
    const timer = new AbortController();
    const late = sleep(PATIENCE_MS, true, { signal: timer.signal }).catch(() => false);
    if (await Promise.race([this.ended.then(() => false), late])) this.#child.kill('SIGKILL');
    timer.abort();
    await this.ended;
  }
}
