/** What the tests of transcription share: an item's surroundings that really keep pieces, and chunks made by hand. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { RequestError } from '@batchmill/contract';
import { EngineError, type GenerateRequest, type Generation } from '@batchmill/engine';
import type { RecordingInfo, SpeechChunk } from '@batchmill/media';
import type { Piece, TaskContext } from '../port.ts';

/** A chunk whose recording is the text that `hears` hears in it. */
export const chunk = (start: number, end: number, says: string, more: Partial<SpeechChunk> = {}): SpeechChunk => ({
  index: 0,
  channel: 0,
  start,
  end,
  speechSeconds: end - start,
  data: Buffer.from(says),
  ...more,
});

export async function* cut(
  chunks: readonly SpeechChunk[],
  info: Partial<RecordingInfo> = {},
): AsyncGenerator<SpeechChunk, RecordingInfo> {
  yield* chunks;
  return {
    seconds: Math.max(0, ...chunks.map((c) => c.end)),
    channels: 1,
    speechSeconds: chunks.reduce((sum, c) => sum + c.speechSeconds, 0),
    missingSeconds: 0,
    ...info,
  };
}

export const answer = (text: string, more: Partial<Generation> = {}): Generation => ({
  text,
  reasoning: null,
  toolCalls: [],
  finishReason: 'stop',
  usage: { promptTokens: 100, cachedTokens: 1, completionTokens: 10, reasoningTokens: 0 },
  logprobs: null,
  ...more,
});

/** Not an engine: hears in a chunk the text it is made of. `!code` is an EngineError. */
export async function hears(request: GenerateRequest): Promise<Generation> {
  const part = request.messages[0]?.content[0];
  if (part?.type !== 'audio') throw new Error('no recording');
  const text = Buffer.from(part.data).toString();
  if (text === '!bad_media' || text === '!engine_failed' || text === '!context_overflow')
    throw new EngineError(
      text === '!bad_media' ? 'bad_media' : text === '!engine_failed' ? 'engine_failed' : 'context_overflow',
      text,
    );
  return answer(text, request.logprobs === undefined ? {} : { logprobs: [-0.2, -0.4].map(token) });
}
const token = (logprob: number) => ({ token: 'x', logprob, bytes: [120], top: [] });

/** Keeps pieces as the worker does: as JSON, and given back to whoever asks again. */
export function pieceStore(signal: AbortSignal) {
  const kept = new Map<string, string>();
  let done = 0;
  return {
    kept,
    /** Sum of the units of the pieces that were done or given back. */
    units: () => done,
    async piece<T>(name: string, { read, work, units }: Piece<T>): Promise<T> {
      const before = kept.get(name);
      if (before !== undefined) {
        try {
          const value = read(JSON.parse(before));
          done += units(value);
          return value;
        } catch {
          // Done again.
        }
      }
      const value = await work(signal);
      kept.set(name, JSON.stringify(value));
      done += units(value);
      return value;
    },
  };
}

export function hearContext(changes: Partial<TaskContext> = {}) {
  const signal = changes.signal ?? new AbortController().signal;
  const store = pieceStore(signal);
  return {
    store,
    context: {
      generate: hears,
      piece: store.piece,
      untimed: <T>(work: () => Promise<T>) => work(),
      pieces: 4,
      signal,
      ...changes,
    },
  };
}

/** A recording of the examples, with what is said in it. */
export const example = (name: string) => readFile(new URL(`../../../../examples/audio/${name}`, import.meta.url));

/** An item's surroundings, its folder on disk and its files among `files`. */
export async function taskContext(files: ReadonlyMap<string, Uint8Array>, changes: Partial<TaskContext> = {}) {
  const { store, context } = hearContext(changes);
  const folder = await mkdtemp(join(tmpdir(), 'transcription-'));
  const whole: TaskContext = {
    tenant: 'default',
    models: ['gemma', 'alias'],
    image: true,
    audio: true,
    openFile: async (id) => {
      const bytes = files.get(id);
      return bytes === undefined ? null : { bytes: bytes.length, read: async () => Readable.from([bytes]) };
    },
    openObject: () => Promise.reject(new RequestError(400, 'outside', { code: 'url_not_allowed' })),
    folder: async () => folder,
    ...context,
  };
  return { store, context: whole, clear: () => rm(folder, { recursive: true }) };
}
