import { RequestError } from '@batchmill/contract';
import type { Document } from '@batchmill/media';
import { pieceError } from '../piece.ts';
import type { TaskContext } from '../port.ts';
import { type ReadOptions, ReadPage, readPage, unread } from './read-page.ts';

/**
 * Reads pages of a document, each a piece of the item. Never more than `context.pieces` are under way, so that pages of other
 * items have their turn and memory stays flat however long the document is.
 * @throws what a piece rejects with, after the others under way have ended: they are kept, so trying again costs little.
 */
export async function readDocument(
  document: Document,
  pages: readonly number[],
  options: ReadOptions,
  context: TaskContext,
): Promise<ReadPage[]> {
  const read: ReadPage[] = [];
  const failures: unknown[] = [];
  const underWay = new Set<Promise<void>>();
  for (const [at, index] of pages.entries()) {
    while (underWay.size >= context.pieces) await Promise.race(underWay);
    if (failures.length > 0) break;
    const work = readPiece(document, index, options, context)
      .then((page) => {
        read[at] = page;
      })
      .catch((error: unknown) => {
        failures.push(error);
      })
      .finally(() => underWay.delete(work));
    underWay.add(work);
  }
  await Promise.all(underWay);
  if (failures.length > 0) throw failures[0];
  return read;
}

async function readPiece(
  document: Document,
  index: number,
  options: ReadOptions,
  context: TaskContext,
): Promise<ReadPage> {
  try {
    return await context.piece(`page-${index}`, {
      read: (kept) => ReadPage.parse(kept),
      work: (signal) => readPage(document, index, options, context, signal),
      texts: (page) => [page.markdown],
      units: () => 1,
    });
  } catch (error) {
    context.signal.throwIfAborted();
    // The time of this page alone is up: the others are not lost with it.
    const own = error instanceof RequestError ? pieceError(error) : null;
    if (own === null) throw error;
    return { ...unread(index), error: own };
  }
}
