import type { RecordingInfo, SpeechChunk } from '@batchmill/media';
import type { TaskContext } from '../port.ts';
import { HeardChunk, type HearOptions, hearChunk } from './hear-chunk.ts';

/** What hearing a recording asks of its surroundings. */
export type HearContext = Pick<TaskContext, 'generate' | 'piece' | 'untimed' | 'pieces' | 'signal'>;

export interface Recording {
  /** In the order of the chunks as they came. */
  heard: HeardChunk[];
  info: RecordingInfo;
}

/**
 * Hears all chunks of a recording, each a piece of the item. Never more than `context.pieces` are under way, and the next chunk
 * is not cut before one of them is done: memory stays flat however long the recording is.
 * @throws what a piece rejects with, after the others under way have ended: they are kept, so trying again costs little.
 */
export async function hearRecording(
  chunks: AsyncGenerator<SpeechChunk, RecordingInfo>,
  context: HearContext,
  options: HearOptions,
): Promise<Recording> {
  const heard: HeardChunk[] = [];
  const underWay = new Set<Promise<void>>();
  let failure: { error: unknown } | null = null;
  let done = 0;
  const start = (chunk: SpeechChunk, at: number, advance: number) => {
    const work = hearPiece(chunk, advance, context, options)
      .then((value) => {
        heard[at] = value;
      })
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => underWay.delete(work));
    underWay.add(work);
  };
  const throwFailure = () => {
    if (failure !== null) throw failure.error;
  };
  try {
    for (let at = 0; ; at++) {
      while (underWay.size >= context.pieces) await Promise.race(underWay);
      throwFailure();
      // The decoder may be at work on other recordings, and has a time limit of its own.
      const next = await context.untimed(() => chunks.next());
      if (next.done === true) {
        await Promise.all(underWay);
        throwFailure();
        return { heard, info: next.value };
      }
      // Two channels go over the same seconds, which count once.
      const advance = Math.max(0, next.value.end - done);
      done += advance;
      start(next.value, at, advance);
    }
  } finally {
    await Promise.all(underWay);
    // Ends the decoder if the recording was not read to its end.
    await chunks.return({ seconds: 0, channels: 0, speechSeconds: 0, missingSeconds: 0 });
  }
}

function hearPiece(
  chunk: SpeechChunk,
  advance: number,
  context: HearContext,
  options: HearOptions,
): Promise<HeardChunk> {
  return context.piece(`chunk-${chunk.channel}-${chunk.index}`, {
    read(kept) {
      const value = HeardChunk.parse(kept);
      // Of a worker that cuts recordings otherwise, nothing can be used.
      if (value.start !== chunk.start || value.end !== chunk.end) throw new Error('the chunk was cut elsewhere');
      return value;
    },
    work: (signal) => hearChunk(chunk, advance, options, context.generate, signal),
    texts: (value) => [value.text],
    units: (value) => value.advance,
  });
}
