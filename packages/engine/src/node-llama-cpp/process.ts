import { type ChildProcess, fork } from 'node:child_process';
import { finished } from 'node:stream/promises';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type EngineDeath, EngineError } from '../port.ts';
import { type Reply, type Request, replySchema } from './messages.ts';

/** Lines of the child's error output kept for `EngineDeath`. */
const STDERR_BYTES = 8_000;
/** The child ends by itself when it is told; after this it is killed. */
const GRACE_MS = 3_000;

interface Pending {
  resolve: (reply: Reply) => void;
  reject: (error: EngineError) => void;
}

/** The process that holds the model (`child.ts`), and the conversation with it. */
export class Child {
  readonly ended: Promise<EngineDeath | null>;
  readonly #process: ChildProcess;
  readonly #pending = new Map<number | null, Pending>();
  #nextId = 1;
  #stderr = '';
  #closed = false;
  #dead = false;

  constructor() {
    this.#process = fork(fileURLToPath(new URL('child.ts', import.meta.url)), {
      // Typed arrays travel as they are.
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // A debugger's or test runner's flags are not for the child.
      execArgv: [],
    });
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_BYTES);
    });
    this.#process.on('message', (raw) => {
      const reply = replySchema.safeParse(raw);
      // A child that speaks nonsense is as good as dead; its end tells whoever waits.
      if (reply.success) this.#receive(reply.data);
      else this.kill();
    });
    // Sending to a process that just died; its end is told by `close`.
    this.#process.on('error', () => {});
    this.ended = this.#watch();
  }

  async #watch(): Promise<EngineDeath | null> {
    // Not the event `close`: it does not come when this side has disconnected (Node 24).
    const exit = new Promise<Omit<EngineDeath, 'stderr'>>((resolve) => {
      this.#process.once('exit', (code, signal) => resolve({ code, signal }));
    });
    const { stderr } = this.#process;
    const written = stderr === null ? Promise.resolve() : finished(stderr).catch(() => {});
    const death = await exit;
    this.#dead = true;
    // A grandchild that holds the pipe open must not hold the news of the death back.
    await Promise.race([written, sleep(500)]);
    for (const { reject } of this.#pending.values()) reject(this.#death());
    this.#pending.clear();
    // Whoever waited for an answer hears of the death before whoever watches for it.
    await nextTurn();
    return this.#closed ? null : { ...death, stderr: this.#stderr };
  }

  /**
   * @returns the release of llama.cpp.
   * @throws EngineError `model_unusable` when the model cannot be loaded.
   */
  async start(message: Extract<Request, { type: 'start' }>): Promise<string> {
    const ready = new Promise<Reply>((resolve, reject) => this.#pending.set(null, { resolve, reject }));
    this.#send(message);
    try {
      const reply = await ready;
      if (reply.type !== 'ready') throw unexpected(reply);
      return reply.release;
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== 'engine_died') throw error;
      throw new EngineError(
        'model_unusable',
        `The model cannot be loaded: ${this.#stderr.trim() || 'the engine died'}`,
        error,
      );
    }
  }

  /** @throws EngineError as the child names it, `engine_died`, `aborted`. */
  call(message: (id: number) => Request, signal: AbortSignal): Promise<Reply> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(new EngineError('aborted', 'The request was stopped'));
      if (this.#dead || this.#closed) return reject(this.#death());
      const abort = () => {
        // Nobody waits for the child to notice; its slot is free within one step.
        this.#pending.delete(id);
        this.#send({ type: 'abort', id });
        reject(new EngineError('aborted', 'The request was stopped'));
      };
      signal.addEventListener('abort', abort, { once: true });
      const settled = () => signal.removeEventListener('abort', abort);
      this.#pending.set(id, {
        resolve: (reply) => {
          settled();
          resolve(reply);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
      this.#send(message(id));
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  async close(): Promise<void> {
    if (!this.#closed && !this.#dead) {
      this.#closed = true;
      if (this.#process.connected) this.#process.disconnect();
      const kill = setTimeout(() => this.kill(), GRACE_MS);
      await this.ended;
      clearTimeout(kill);
    }
    await this.ended;
  }

  #send(message: Request): void {
    if (this.#process.connected) this.#process.send(message, () => {});
  }

  #receive(reply: Reply): void {
    const id = 'id' in reply ? reply.id : null;
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (reply.type === 'failed') pending?.reject(new EngineError(reply.code, reply.message));
    else pending?.resolve(reply);
  }

  #death(): EngineError {
    return new EngineError('engine_died', this.#closed ? 'The engine was closed' : 'The engine process died');
  }
}

export function unexpected(reply: Reply): EngineError {
  return new EngineError('engine_failed', `The engine answered with "${reply.type}"`);
}
