import { NO_USAGE, Usage } from '@batchmill/contract';
import type { GenerateRequest, Generation, Sampling } from '@batchmill/engine';
import type { SpeechChunk } from '@batchmill/media';
import { z } from 'zod';
import { callsUsage, pieceError } from '../piece.ts';
import { collapseLoops, compressionRatio, MAX_COMPRESSION_RATIO } from './loops.ts';
import { oneLine } from './words.ts';

/** What was heard in one chunk; JSON, as it is kept. Times are seconds in the recording. */
export const HeardChunk = z.strictObject({
  channel: z.number().int(),
  index: z.number().int(),
  start: z.number(),
  end: z.number(),
  speechSeconds: z.number(),
  /** Seconds by which the recording is further done with this chunk: its own and the silence before it. */
  advance: z.number(),
  text: z.string(),
  temperature: z.number(),
  /** Mean over the tokens; null unless it was asked for. */
  logprob: z.number().nullable(),
  repeated: z.boolean(),
  truncated: z.boolean(),
  dropped: z.boolean(),
  usage: Usage,
  error: z.strictObject({ status: z.number(), code: z.string().nullable(), message: z.string() }).nullable(),
});
export type HeardChunk = z.infer<typeof HeardChunk>;

export interface HearOptions {
  instruction: string;
  temperature: number;
  /** `null`: as many as can be said in the time. */
  maxTokens: number | null;
  logprobs: boolean;
}

/** Fast speech is 7 words a second; few languages need more than four tokens for one. Enough, and an end for loops. */
const TOKENS_PER_SECOND = 30;
const LEAST_TOKENS = 64;
/** The fastest speakers say some 25 characters a second; what voice detection misses of a voice is allowed for. */
const MAX_CHARS_PER_SECOND = 30;
const SPARE_CHARS = 15;
/** Below it there is a click or a breath, hardly a word. */
const LEAST_SPEECH_SECONDS = 0.3;
const LEAST_SPEECH_CHARS = 12;
/** Another attempt at what came out as a loop: Whisper's second temperature is 0.2, its third 0.4. */
const RETRY = { temperature: 0.4, repetitionPenalty: 1.1 };

/**
 * One chunk, heard by the model, guarded against what models make up: a loop is heard once more with other sampling and
 * cut to once if it stays one; a text nobody can have said in the time is dropped. Deterministic.
 * @returns the failure of this chunk alone as `error`. @throws what concerns more than the chunk, and what `signal` throws.
 */
export async function hearChunk(
  chunk: SpeechChunk,
  advance: number,
  options: HearOptions,
  generate: (request: GenerateRequest, signal: AbortSignal) => Promise<Generation>,
  signal: AbortSignal,
): Promise<HeardChunk> {
  const { channel, index, start, end, speechSeconds } = chunk;
  const heard: HeardChunk = {
    channel,
    index,
    start,
    end,
    speechSeconds,
    advance,
    text: '',
    temperature: options.temperature,
    logprob: null,
    repeated: false,
    truncated: false,
    dropped: false,
    usage: NO_USAGE,
    error: null,
  };
  const call = (changes: Partial<Sampling> = {}) => generate(chunkRequest(chunk, options, changes), signal);
  try {
    const first = await call();
    const written = oneLine(first.text);
    const once = collapseLoops(written);
    // A loop over a breath is no word said once.
    if (cannotBeSaid(speechSeconds < LEAST_SPEECH_SECONDS ? written : once, speechSeconds))
      return { ...heard, dropped: true, usage: callsUsage(first) };
    const kept = { ...heard, ...figures(first), text: once, repeated: once !== written, usage: callsUsage(first) };
    if (!isLoop(written, once)) return kept;
    const temperature = Math.max(RETRY.temperature, options.temperature);
    const second = await call({ ...RETRY, temperature });
    const usage = callsUsage(first, second);
    const text = oneLine(second.text);
    if (isLoop(text, collapseLoops(text)) || cannotBeSaid(text, speechSeconds)) return { ...kept, usage };
    return { ...heard, ...figures(second), text, temperature, usage };
  } catch (error) {
    signal.throwIfAborted();
    const own = pieceError(error);
    if (own === null) throw error;
    return { ...heard, error: own };
  }
}

const isLoop = (text: string, once: string) => once !== text || compressionRatio(text) > MAX_COMPRESSION_RATIO;

function cannotBeSaid(text: string, speechSeconds: number): boolean {
  if (speechSeconds < LEAST_SPEECH_SECONDS) return text.length > LEAST_SPEECH_CHARS;
  return text.length > SPARE_CHARS + MAX_CHARS_PER_SECOND * speechSeconds;
}

function figures({ finishReason, logprobs }: Generation): Pick<HeardChunk, 'truncated' | 'logprob'> {
  const sum = logprobs?.reduce((total, token) => total + token.logprob, 0) ?? 0;
  return {
    truncated: finishReason === 'length',
    logprob: logprobs === null || logprobs.length === 0 ? null : sum / logprobs.length,
  };
}

function chunkRequest(chunk: SpeechChunk, options: HearOptions, changes: Partial<Sampling>): GenerateRequest {
  const { instruction, temperature, maxTokens, logprobs } = options;
  const most = Math.max(LEAST_TOKENS, Math.ceil((chunk.end - chunk.start) * TOKENS_PER_SECOND));
  return {
    messages: [
      {
        role: 'user',
        content: [
          { type: 'audio', data: chunk.data },
          { type: 'text', text: instruction },
        ],
      },
    ],
    thinking: false,
    sampling: {
      temperature,
      topP: 0.95,
      topK: temperature === 0 && changes.temperature === undefined ? 1 : 64,
      // Any: that a run again writes the same.
      seed: chunk.index,
      ...changes,
    },
    maxTokens: maxTokens ?? most,
    stop: [],
    format: { type: 'text' },
    ...(logprobs ? { logprobs: 0 } : {}),
  };
}
