import type { Document } from '@batchmill/media';
import type { TaskContext } from '../port.ts';
import { type ReadOptions, ReadPage, readPage } from './read-page.ts';

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
  let failed = false;
  const underWay = new Set<Promise<void>>();
  let failure: { error: unknown } | null = null;
  const throwFailure = () => {
    if (failure !== null) throw failure.error;
  };
  for (const [at, index] of pages.entries()) {
    while (underWay.size >= context.pieces) await Promise.race(underWay);
    if (failed) break;
    const work = context
      .piece(`page-${index}`, {
        read: (kept) => ReadPage.parse(kept),
        work: (signal) => readPage(document, index, options, context, signal),
        units: () => 1,
      })
      .then((page) => {
        read[at] = page;
      })
      .catch((error: unknown) => {
        failed = true;
        failure ??= { error };
      })
      .finally(() => underWay.delete(work));
    underWay.add(work);
  }
  await Promise.all(underWay);
  throwFailure();
  return read;
}
