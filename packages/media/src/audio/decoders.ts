import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { RequestError } from '@batchmill/contract';
import type { RecordingBegin } from './decode.ts';
import { badAudio } from './recording-errors.ts';
import { type Job, type Message, MessageReader } from './recording-messages.ts';

/** No sign of life for so long means that a decoder hangs. */
const STALL_MS = 60_000;
const IDLE_MS = 30_000;
/** Bytes above which a process is not used again: some decoders give nothing back. */
const MAX_MEMORY = 400e6;

type Child = ChildProcessByStdio<Writable, Readable, null>;

/** A process that decodes recordings, one at a time. See `decoder-process.ts`. */
class Decoder {
  readonly #child: Child;
  readonly #messages: MessageReader;
  #timer: NodeJS.Timeout | undefined;
  #failure: Error | null = null;
  #dead = false;

  constructor() {
    // Strangers' files are read there: it is told nothing it does not need, least of all the secrets of this process.
    const env = Object.fromEntries(
      ['PATH', 'LD_LIBRARY_PATH', 'SystemRoot'].flatMap((name) => {
        const value = process.env[name];
        return value === undefined ? [] : [[name, value]];
      }),
    );
    const script = fileURLToPath(new URL('./decoder-process.ts', import.meta.url));
    this.#child = spawn(process.execPath, ['--max-old-space-size=512', script], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env,
    });
    this.#child.on('error', (error) => {
      this.#failure = error;
      this.#dead = true;
    });
    this.#child.on('exit', () => {
      this.#dead = true;
    });
    // A pipe that breaks is seen as the end of the messages.
    this.#child.stdin.on('error', () => {});
    this.#child.stdout.on('error', () => {});
    this.#messages = new MessageReader(this.#child.stdout);
  }

  get alive(): boolean {
    return !this.#dead;
  }

  /** Why there is no process, if it could not be started. */
  get failure(): Error | null {
    return this.#failure;
  }

  send(job: Job): void {
    this.#child.stdin.write(`${JSON.stringify(job)}\n`);
  }

  /** The next message, or `null` if the process crashed, hung or was ended. */
  async receive(stallMs: number): Promise<Message | null> {
    const stall = setTimeout(() => this.end(), stallMs);
    try {
      return await this.#messages.next();
    } finally {
      clearTimeout(stall);
    }
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#dead = true;
    this.#child.kill('SIGKILL');
  }

  /** Waits for work, without keeping this process alive. */
  rest(onEnd: () => void): void {
    this.#timer = setTimeout(() => {
      this.end();
      onEnd();
    }, IDLE_MS).unref();
    this.#hold(false);
  }

  wake(): void {
    clearTimeout(this.#timer);
    this.#hold(true);
  }

  #hold(on: boolean): void {
    const { stdin, stdout } = this.#child;
    // Node's pipes to children are sockets.
    for (const part of [this.#child, ...[stdin, stdout].filter((s) => s instanceof Socket)])
      if (on) part.ref();
      else part.unref();
  }
}

/** Processes that have nothing to do, the last used at the end. */
const idle: Decoder[] = [];

function take(): Decoder {
  for (let decoder = idle.pop(); decoder !== undefined; decoder = idle.pop()) {
    if (!decoder.alive) continue;
    decoder.wake();
    return decoder;
  }
  return new Decoder();
}

function giveBack(decoder: Decoder): void {
  idle.push(decoder);
  decoder.rest(() => {
    const at = idle.indexOf(decoder);
    if (at >= 0) idle.splice(at, 1);
  });
}

export type Chunk = Omit<Message & { is: 'chunk' }, 'is'>;
export type End = Message & { is: 'end' };

/**
 * Has a recording decoded in a process of its own: chunks as they are found, at last the end. The process is reused for the
 * next recording, or ended if whoever asked stops listening. A crash costs a second try in a new process, which passes
 * over what was given already (decoding comes out the same each time), so that a recording does not pay for what one
 * before it has done to the process.
 * @throws RequestError 400 as `decode`, and `invalid_audio` if the decoder crashes or hangs twice.
 *   If `signal` aborts, its reason is thrown.
 */
export async function* runDecoder(
  job: Job,
  signal: AbortSignal,
  { stallMs = STALL_MS, onBegin }: { stallMs?: number; onBegin?: (begin: RecordingBegin) => void } = {},
): AsyncGenerator<Chunk, End> {
  let given = 0;
  for (let attempt = 0; attempt < 2; attempt++) {
    signal.throwIfAborted();
    const decoder = attempt === 0 ? take() : new Decoder();
    const onAbort = () => decoder.end();
    signal.addEventListener('abort', onAbort, { once: true });
    let reusable = false;
    try {
      decoder.send(job);
      let seen = 0;
      for (;;) {
        const message = await decoder.receive(stallMs);
        signal.throwIfAborted();
        if (message === null) break;
        if (message.is === 'chunk' && seen++ >= given) {
          given++;
          const { is: _, ...chunk } = message;
          yield chunk;
        }
        if (message.is === 'begin') onBegin?.({ seconds: message.seconds, channels: message.channels });
        if (message.is === 'broken') throw new Error(`Recordings cannot be decoded here: ${message.message}`);
        reusable = message.is === 'refused' || (message.is === 'end' && message.memory < MAX_MEMORY);
        if (message.is === 'refused')
          throw new RequestError(400, message.message, { ...(message.code === null ? {} : { code: message.code }) });
        if (message.is === 'end') return message;
      }
      if (decoder.failure !== null) throw decoder.failure;
    } finally {
      signal.removeEventListener('abort', onAbort);
      if (reusable) giveBack(decoder);
      else decoder.end();
    }
  }
  throw badAudio('The recording cannot be decoded: it crashes the decoder or makes it hang. It may be damaged.');
}
