import { Pool } from 'undici';
import type { z } from 'zod';
import { EngineError } from '../port.ts';
import { aborted } from '../slots.ts';
import {
  type Choice,
  type ChoiceRequest,
  COMPLETION_FIELDS,
  type Completion,
  type CompletionRequest,
  choiceSchema,
  completionSchema,
  errorSchema,
  type Props,
  propsSchema,
  tokensSchema,
} from './wire.ts';

const ALWAYS = { return_tokens: true, cache_prompt: true, response_fields: COMPLETION_FIELDS };

/** Speaks HTTP with one llama-server, over a socket that only this user can open. */
export class Client {
  readonly #pool: Pool;
  readonly #pending = new Set<(reason: EngineError) => void>();
  #death: EngineError | null = null;

  /** @param connections how many requests may run at once. */
  constructor(socketPath: string, connections: number) {
    // No timeouts: an answer may take hours. The caller's signal is the limit.
    this.#pool = new Pool('http://localhost', { socketPath, connections, headersTimeout: 0, bodyTimeout: 0 });
  }

  /** @throws EngineError */
  complete(request: CompletionRequest, hasMedia: boolean, signal: AbortSignal): Promise<Completion> {
    return this.#post('/completion', { ...request, ...ALWAYS }, completionSchema, hasMedia, signal);
  }

  /** One token, with the probabilities it was chosen by. @throws EngineError */
  choose(request: ChoiceRequest, hasMedia: boolean, signal: AbortSignal): Promise<Choice> {
    const body = { ...request, ...ALWAYS, n_predict: 1, post_sampling_probs: true };
    return this.#post('/completion', body, choiceSchema, hasMedia, signal);
  }

  /** Token ids of a text in which nothing is taken for a control token. @throws EngineError */
  async tokenize(content: string, signal: AbortSignal): Promise<number[]> {
    const body = { content, add_special: false, parse_special: false };
    return (await this.#post('/tokenize', body, tokensSchema, false, signal)).tokens;
  }

  /** @throws EngineError */
  props(signal: AbortSignal): Promise<Props> {
    return this.#request('GET', '/props', null, propsSchema, false, signal);
  }

  /** Whether the model is loaded and the server answers. False while it does not listen yet. */
  async ready(): Promise<boolean> {
    try {
      const { statusCode, body } = await this.#pool.request({ path: '/health', method: 'GET' });
      await body.dump();
      return statusCode === 200;
    } catch {
      return false;
    }
  }

  /** Every call, pending or to come, fails with this. */
  async destroy(reason: EngineError): Promise<void> {
    this.#death ??= reason;
    for (const reject of this.#pending) reject(this.#death);
    this.#pending.clear();
    await this.#pool.destroy();
  }

  #post<T>(path: string, body: unknown, schema: z.ZodType<T>, hasMedia: boolean, signal: AbortSignal): Promise<T> {
    return this.#request('POST', path, wellFormed(JSON.stringify(body)), schema, hasMedia, signal);
  }

  #request<T>(
    method: 'GET' | 'POST',
    path: string,
    body: string | null,
    schema: z.ZodType<T>,
    hasMedia: boolean,
    signal: AbortSignal,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#death !== null) return reject(this.#death);
      // Past its limit the server hangs up in the middle, which looks like a fault of its own.
      if (body !== null && body.length > LONGEST_BODY) return reject(tooLarge(body.length));
      this.#pending.add(reject);
      this.#exchange(method, path, body, schema, hasMedia, signal)
        .then(resolve, reject)
        .finally(() => this.#pending.delete(reject));
    });
  }

  async #exchange<T>(
    method: 'GET' | 'POST',
    path: string,
    body: string | null,
    schema: z.ZodType<T>,
    hasMedia: boolean,
    signal: AbortSignal,
  ): Promise<T> {
    let status: number;
    let answer: unknown;
    try {
      const headers = { 'content-type': 'application/json' };
      const response = await this.#pool.request({ method, path, headers, body, signal });
      status = response.statusCode;
      answer = await response.body.json();
    } catch (error) {
      throw await this.#brokenOff(error, signal);
    }
    if (status !== 200) throw refusal(status, answer, hasMedia);
    const parsed = schema.safeParse(answer);
    if (!parsed.success)
      throw new EngineError('engine_failed', `llama-server answered ${path} in a form not known`, parsed.error);
    return parsed.data;
  }

  /** A connection that breaks usually breaks with the process, whose end is noticed a moment later: that moment is waited. */
  async #brokenOff(error: unknown, signal: AbortSignal): Promise<EngineError> {
    if (signal.aborted) return aborted(signal);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return (
      this.#death ?? new EngineError('engine_failed', `The connection to llama-server broke: ${String(error)}`, error)
    );
  }
}

/** Bytes of a request that llama-server's HTTP library reads (`CPPHTTPLIB_PAYLOAD_MAX_LENGTH`). */
const LONGEST_BODY = 100 * 1024 * 1024;

function tooLarge(length: number): EngineError {
  const megabytes = Math.ceil(length / 1024 / 1024);
  return new EngineError(
    'bad_request',
    `The request has ${megabytes} MB with its media; the engine takes 100 MB at most`,
  );
}

/**
 * Half a surrogate pair, which JavaScript's strings may hold, is no text to the server. `JSON.stringify` escapes such
 * halves, and nothing else, as `\\ud…`; they become U+FFFD.
 */
export function wellFormed(json: string): string {
  if (!json.includes('\\ud')) return json;
  return json.replaceAll(/(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}/g, '$1\ufffd');
}

/** What an HTTP error of llama-server means. */
export function refusal(status: number, answer: unknown, hasMedia: boolean): EngineError {
  const parsed = errorSchema.safeParse(answer);
  if (!parsed.success) return new EngineError('engine_failed', `llama-server answered with status ${status}`);
  const { message, type, n_prompt_tokens, n_ctx } = parsed.data.error;
  if (type === 'exceed_context_size_error') {
    return new EngineError(
      'context_overflow',
      `The prompt has ${n_prompt_tokens ?? 'too many'} tokens and does not fit the context of ${n_ctx ?? 'the slot'} tokens`,
    );
  }
  if (status === 501) return new EngineError('unsupported', message);
  if (message.includes('json.exception')) return new EngineError('bad_request', message);
  if (status >= 500) return new EngineError('engine_failed', `llama-server failed: ${message}`);
  if (hasMedia && /load image or audio|tokenize prompt/i.test(message)) {
    return new EngineError('bad_media', 'A picture or recording cannot be decoded');
  }
  return new EngineError('bad_request', message);
}
