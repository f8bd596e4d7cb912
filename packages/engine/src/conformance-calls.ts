import { test } from 'vitest';
import { DEFAULT_SAMPLING, type Engine, EngineError, type GenerateRequest, type MessagePart } from './port.ts';

/** The requests that `conformance.ts` makes, and what it looks at when they fail. */

/** What an adapter with its model can do, and what of the model the tests must know. */
export interface Features {
  image: boolean;
  audio: boolean;
  logprobs: boolean;
  jsonSchema: boolean;
  classify: boolean;
  /** Control tokens of the model, as text. */
  controlTokens: string[];
  /** Ids of the tokens that end an answer, to forbid them where a test needs a long one. */
  endTokens: number[];
  /** Id of the token `}`. */
  closingBrace: number;
}

export const GREEDY = { ...DEFAULT_SAMPLING, temperature: 0 };

/** A greedy request for text, unless `more` says otherwise. */
export function ask(content: string | MessagePart[], more: Partial<GenerateRequest> = {}): GenerateRequest {
  const parts: MessagePart[] = typeof content === 'string' ? [{ type: 'text', text: content }] : content;
  return {
    messages: [{ role: 'user', content: parts }],
    thinking: false,
    sampling: GREEDY,
    maxTokens: 30,
    stop: [],
    format: { type: 'text' },
    ...more,
  };
}

/** The model may not end its answer. Without a `maxTokens` of its own it fills the context. */
export function endless({ endTokens }: Features): Partial<GenerateRequest> {
  const logitBias = Object.fromEntries(endTokens.map((token) => [token, -100]));
  return { sampling: { ...GREEDY, logitBias } };
}

/** The model may write nothing but this token. */
export function forced(token: number): Partial<GenerateRequest> {
  return { sampling: { ...GREEDY, logitBias: { [token]: 100 } } };
}

/** A request that ends where the context does, most of which is filled by the prompt. */
export async function fillsContext(engine: Engine, features: Features): Promise<GenerateRequest> {
  // `words` more of them are as many tokens more, or a multiple.
  const length = async (words: number) =>
    (await engine.generate(ask('a '.repeat(words), { maxTokens: 1 }), never())).usage.promptTokens;
  const each = ((await length(200)) - (await length(100))) / 100;
  const words = Math.floor((engine.capabilities.contextTokens - 150) / each);
  const { maxTokens: _, ...request } = ask('a '.repeat(words), endless(features));
  return request;
}

/** Every slot at work for as long as its context lasts. */
export function busy(engine: Engine, features: Features, signal: AbortSignal): Promise<unknown>[] {
  const { maxTokens: _, ...request } = ask('on and on', endless(features));
  return Array.from({ length: engine.capabilities.slots }, () => {
    const call = engine.generate(request, signal);
    // Looked at later.
    call.catch(() => {});
    return call;
  });
}

/** Error codes of calls that must all fail. */
export function codes(calls: readonly Promise<unknown>[]): Promise<string[]> {
  return Promise.all(calls.map(async (call) => (await failure(call)).code));
}

/** The error a call must fail with. */
export async function failure(call: Promise<unknown>): Promise<EngineError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error('The call was answered, but it should have failed');
}

export function never(): AbortSignal {
  return new AbortController().signal;
}

/** Where the adapter has not got it, there is no test. */
export function testIf(has: boolean): (name: string, run: () => Promise<void>) => void {
  return (name, run) => {
    if (has) test(name, run);
  };
}
