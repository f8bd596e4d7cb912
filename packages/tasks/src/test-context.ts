/** What the tests of tasks in pieces share: an item's surroundings that really keep pieces, and answers made by hand. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { RequestError } from '@batchmill/contract';
import type { Generation } from '@batchmill/engine';
import type { Piece, TaskContext } from './port.ts';

export const answer = (text: string, more: Partial<Generation> = {}): Generation => ({
  text,
  reasoning: null,
  toolCalls: [],
  finishReason: 'stop',
  usage: { promptTokens: 100, cachedTokens: 1, completionTokens: 10, reasoningTokens: 0 },
  logprobs: null,
  ...more,
});

/** Keeps pieces as the worker does: as JSON, and given back to whoever asks again. */
export function pieceStore(signal: AbortSignal, kept = new Map<string, string>()) {
  let done = 0;
  let length: number | null = null;
  let underWay = 0;
  let most = 0;
  return {
    kept,
    /** Sum of the units of the pieces that were done or given back. */
    units: () => done,
    /** What the item said it has in all. */
    said: () => length,
    length: (units: number) => {
      length ??= units;
    },
    /** Most pieces that were under way at once. */
    most: () => most,
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
      most = Math.max(most, ++underWay);
      try {
        const value = await work(signal);
        kept.set(name, JSON.stringify(value));
        done += units(value);
        return value;
      } finally {
        underWay--;
      }
    },
  };
}

/**
 * An item's surroundings, its folder on disk and its files among `files`. `kept`: pieces of an earlier run of the item.
 */
export async function taskContext(
  files: ReadonlyMap<string, Uint8Array>,
  changes: Pick<TaskContext, 'generate'> & Partial<TaskContext>,
  kept?: Map<string, string>,
) {
  const signal = changes.signal ?? new AbortController().signal;
  const store = pieceStore(signal, kept);
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-task-'));
  const context: TaskContext = {
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
    piece: store.piece,
    length: store.length,
    moderate: () => Promise.reject(new Error('nothing here moderates')),
    untimed: (work) => work(),
    pieces: 4,
    signal,
    ...changes,
  };
  return { store, context, clear: () => rm(folder, { recursive: true }) };
}
