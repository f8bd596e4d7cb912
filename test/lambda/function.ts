import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Asked, EventShape } from './events.ts';

const SANDBOX = fileURLToPath(new URL('sandbox.ts', import.meta.url));

export interface LambdaResult {
  status: number;
  headers: Headers;
  body: Buffer;
  /** Milliseconds from the start of the sandbox's process to its answer. */
  sinceStartMs: number;
}

/** A function with one sandbox, asked through events of one shape. */
export class LambdaFunction {
  readonly #sandbox: ChildProcess;
  readonly #shape: EventShape;
  #asked = 0;

  private constructor(sandbox: ChildProcess, shape: EventShape) {
    this.#sandbox = sandbox;
    this.#shape = shape;
  }

  /** Starts a sandbox; resolves when its handler is imported. @param module path from the root of the repository */
  static async start(module: string, shape: EventShape, env: Record<string, string>): Promise<LambdaFunction> {
    const sandbox = fork(SANDBOX, [module], {
      env: { ...process.env, ...env, LOG_LEVEL: 'silent' },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
    });
    let said = '';
    sandbox.stderr?.on('data', (chunk: Buffer) => {
      said += chunk;
    });
    const ended = once(sandbox, 'exit').then(() => {
      throw new Error(`the sandbox ended: ${said}`);
    });
    await Promise.race([once(sandbox, 'message'), ended]);
    ended.catch(() => {});
    return new LambdaFunction(sandbox, shape);
  }

  /** Invokes the function. @throws Error if the handler throws, which is a bug: errors are answers */
  async ask(asked: Asked): Promise<LambdaResult> {
    const id = ++this.#asked;
    const answer = new Promise<{ result?: unknown; error?: string; sinceStartMs: number }>((resolve) => {
      const listen = (message: { id: number; result?: unknown; error?: string; sinceStartMs: number }) => {
        if (message.id !== id) return;
        this.#sandbox.off('message', listen);
        resolve(message);
      };
      this.#sandbox.on('message', listen);
    });
    this.#sandbox.send({ id, event: this.#shape.event(asked) });
    const { result, error, sinceStartMs } = await answer;
    if (error !== undefined) throw new Error(error);
    const { statusCode, headers, multiValueHeaders, body, isBase64Encoded } = result as {
      statusCode: number;
      headers?: Record<string, string>;
      multiValueHeaders?: Record<string, string[]>;
      body: string;
      isBase64Encoded: boolean;
    };
    const pairs = Object.entries(multiValueHeaders ?? {}).flatMap(([name, values]) =>
      values.map((value): [string, string] => [name, value]),
    );
    return {
      status: statusCode,
      headers: new Headers([...Object.entries(headers ?? {}), ...pairs]),
      body: Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8'),
      sinceStartMs,
    };
  }

  async stop(): Promise<void> {
    const exit = once(this.#sandbox, 'exit');
    this.#sandbox.disconnect();
    await exit;
  }
}
