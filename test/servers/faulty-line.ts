import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from './ports.ts';

/** What is wrong with a line now. */
export type Trouble =
  | { kind: 'none' }
  /** Nobody answers: connections are refused, and those that were open break. */
  | { kind: 'down' }
  /** Each piece of an answer comes so much later. */
  | { kind: 'slow'; ms: number }
  /** Each connection breaks when about so many bytes of answers have passed. */
  | { kind: 'cut'; bytes: number }
  /** Whoever asks is answered this, as HTTP/1.1, and hung up on; the server behind never hears of it. */
  | { kind: 'answer'; status: number; body: string };

/** What S3 says when it is asked too much (Amazon S3 API reference, "Error responses"). */
export const SLOW_DOWN: Trouble = {
  kind: 'answer',
  status: 503,
  body: '<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>',
};
export const BROKEN: Trouble = {
  kind: 'answer',
  status: 500,
  body: '<?xml version="1.0" encoding="UTF-8"?><Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>',
};

/** A network line on loopback to a server, at a port of its own that stays the same, with troubles on demand. */
export class FaultyLine implements AsyncDisposable {
  readonly port: number;
  #target: number;
  #trouble: Trouble = { kind: 'none' };
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((near) => this.#join(near));

  private constructor(port: number, target: number) {
    this.port = port;
    this.#target = target;
  }

  /** @param target the port of the server, on 127.0.0.1. */
  static async lay(target: number): Promise<FaultyLine> {
    const [port = 0] = await freePorts(1);
    const line = new FaultyLine(port, target);
    await new Promise<void>((resolve) => line.#server.listen(port, '127.0.0.1', resolve));
    return line;
  }

  /** Leads to another server from now on. */
  lead(target: number): void {
    this.#target = target;
  }

  trouble(trouble: Trouble): void {
    this.#trouble = trouble;
    if (trouble.kind === 'down') for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(near: Socket): void {
    if (this.#trouble.kind === 'down') return void near.resetAndDestroy();
    const far = connect(this.#target, '127.0.0.1');
    let passed = 0;
    const cut = () => {
      near.destroy();
      far.destroy();
      this.#sockets.delete(near);
      this.#sockets.delete(far);
    };
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true).on('error', cut).on('close', cut);
    }
    near.on('data', (asked: Buffer) => {
      const trouble = this.#trouble;
      if (trouble.kind === 'answer') {
        far.destroy();
        const { status, body } = trouble;
        near.end(
          `HTTP/1.1 ${status} Trouble\r\ncontent-type: application/xml\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
        );
      } else if (!far.write(asked)) {
        near.pause();
        far.once('drain', () => near.resume());
      }
    });
    far.on('data', async (answer: Buffer) => {
      const trouble = this.#trouble;
      if (trouble.kind === 'slow') {
        far.pause();
        await sleep(trouble.ms);
        far.resume();
      }
      if (trouble.kind === 'cut' && passed + answer.length > trouble.bytes) {
        near.write(answer.subarray(0, Math.max(0, trouble.bytes - passed)), cut);
        return;
      }
      passed += answer.length;
      if (near.write(answer)) return;
      far.pause();
      near.once('drain', () => far.resume());
    });
    near.on('end', () => far.end());
    far.on('end', () => near.end());
  }
}
