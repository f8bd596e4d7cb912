import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/**
 * An executable in the place of llama-server: it speaks as much of its API as the product uses, answers any prompt after a
 * fixed time, writes down which items it was asked for, and dies on a marked one. With it the whole product runs, engine
 * process included, and what it did can be counted.
 */
export interface StandIn extends AsyncDisposable {
  /** Settings that make a worker take it. */
  env: Record<string, string>;
  /** How often each item was begun, by its number. */
  calls(): Map<number, number>;
}

/** What an item's prompt must hold: `[item 17]`. */
export const itemMark = (n: number) => `[item ${n}]`;
/** A prompt that holds this kills the engine. */
export const POISON = '[poison]';
/** What it answers. */
export const answerTo = (n: number) => `This is the answer to item ${n}.`;
/** The tokens it says the prompt and the answer of an item have. */
export const usageOf = (n: number) => ({ prompt: 10 + (n % 7), completion: 3 + (n % 5) });

/** @param answerMs how long it takes for an answer. */
export async function standIn(options: { answerMs?: number; slots?: number } = {}): Promise<StandIn> {
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-stand-in-'));
  const program = join(folder, 'llama-server');
  const log = join(folder, 'items.log');
  // A shell that becomes Node: the engine's process id is then that of the server itself, as the product expects it.
  await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${fileURLToPath(import.meta.url)}' "$@"\n`);
  await chmod(program, 0o755);
  await writeFile(log, '');
  return {
    env: {
      LLAMA_SERVER: program,
      MODEL: fileURLToPath(new URL('../../models/test/text.gguf', import.meta.url)),
      SLOTS: String(options.slots ?? 16),
      CONTEXT_TOKENS: '2048',
      // These names reach the engine; see `PASSED_ON` in packages/engine.
      LLAMA_ARG_STAND_IN_LOG: log,
      LLAMA_ARG_STAND_IN_MS: String(options.answerMs ?? 5),
    },
    calls: () => {
      const calls = new Map<number, number>();
      for (const line of readFileSync(log, 'utf8').split('\n'))
        if (line !== '') calls.set(Number(line), (calls.get(Number(line)) ?? 0) + 1);
      return calls;
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function serve(args: string[]): void {
  const argument = (name: string) => args[args.indexOf(name) + 1] ?? '';
  const slots = Number(argument('--parallel'));
  const log = openSync(process.env.LLAMA_ARG_STAND_IN_LOG ?? '/dev/null', 'a');
  const answerMs = Number(process.env.LLAMA_ARG_STAND_IN_MS);
  const props = {
    default_generation_settings: { n_ctx: Number(argument('--ctx-size')) / slots },
    total_slots: slots,
    modalities: { vision: false, audio: false },
    build_info: 'stand-in',
  };
  const complete = async (request: IncomingMessage) => {
    const { prompt } = JSON.parse(await bodyOf(request));
    const marked = /\[item (\d+)\]/.exec(prompt)?.[1];
    // Others are the product's own, to try the engine with.
    if (marked !== undefined) writeSync(log, `${marked}\n`);
    const n = Number(marked ?? 0);
    await sleep(answerMs);
    if (prompt.includes(POISON)) process.kill(process.pid, 'SIGSEGV');
    const { prompt: evaluated, completion } = usageOf(n);
    return {
      content: answerTo(n),
      tokens: Array.from({ length: completion }, () => 1),
      tokens_predicted: completion,
      tokens_evaluated: evaluated,
      stop_type: 'eos',
      stopping_word: '',
      'timings/cache_n': 0,
    };
  };
  const server = createServer(async (request, response) => {
    const answer =
      request.url === '/completion'
        ? await complete(request)
        : request.url === '/props'
          ? props
          : request.url === '/tokenize'
            ? { tokens: [] }
            : {};
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
  });
  server.listen(argument('--host'));
  process.on('SIGTERM', () => {
    closeSync(log);
    process.exit(0);
  });
}

// As the program itself.
if (import.meta.main) {
  if (process.argv.includes('--version')) console.log('version: 0.4.0 (stand-in)');
  else serve(process.argv.slice(2));
}
