/** What the tests of transcription share: surroundings that really keep pieces, and chunks made by hand. */
import { readFile } from 'node:fs/promises';
import { EngineError, type GenerateRequest, type Generation } from '@batchmill/engine';
import type { RecordingInfo, SpeechChunk } from '@batchmill/media';
import type { TaskContext } from '../port.ts';
import { answer, pieceStore } from '../test-context.ts';

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
