import type { FileHandle } from 'node:fs/promises';
import { z } from 'zod';
import { type RemoteFile, TryAgain } from './remote.ts';

/** A stretch of a file that one connection fetches: `at` is its next byte, `end` the byte after its last. */
export const Segment = z.object({ at: z.number(), end: z.number() });
export type Segment = z.infer<typeof Segment>;

/** What is left of a file of `size` bytes from `from` on, in `count` stretches of about one length. */
export function planSegments(from: number, size: number, count: number): Segment[] {
  const edge = (i: number) => from + Math.round(((size - from) * i) / count);
  return Array.from({ length: count }, (_, i) => ({ at: edge(i), end: edge(i + 1) })).filter((s) => s.at < s.end);
}

/** Bytes that are still to come. */
export function left(segments: readonly Segment[]): number {
  return segments.reduce((sum, { at, end }) => sum + end - at, 0);
}

/** The server did not send the stretch it was asked for: it knows no ranges, or the file is another one by now. */
export class NoRanges extends TryAgain {
  constructor() {
    super('the server sent another part of the file', { fromStart: true });
  }
}

/**
 * Fetches stretches side by side, each into its place. Moves `at` of each on as its bytes are written, so that whoever keeps the
 * segments can go on from there after any end.
 *
 * @throws NoRanges; TryAgain when a connection broke: the others have ended by then
 */
export async function fetchSegments(
  remote: RemoteFile,
  file: FileHandle,
  segments: readonly Segment[],
  validator: string | null,
  options: { signal: AbortSignal; onBytes: () => void },
): Promise<void> {
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const fetchOne = async (segment: Segment) => {
    if (segment.at >= segment.end) return;
    const content = await remote.open(segment.at, validator, signal);
    if (content.start !== segment.at) throw new NoRanges();
    for await (const chunk of content.body) {
      const wanted = chunk.subarray(0, segment.end - segment.at);
      await file.write(wanted, 0, wanted.length, segment.at);
      segment.at += wanted.length;
      options.onBytes();
      if (segment.at === segment.end) return;
    }
    throw new TryAgain('the connection ended early');
  };
  const results = await Promise.allSettled(
    segments.map((segment) =>
      fetchOne(segment).catch((error: unknown) => {
        // The first failure is the one to tell; the others only follow from it.
        if (!failed.signal.aborted) failed.abort(error);
        throw error;
      }),
    ),
  );
  if (results.some(({ status }) => status === 'rejected')) throw failed.signal.reason;
}
