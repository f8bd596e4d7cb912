import { createHash } from 'node:crypto';
import { openAsBlob } from 'node:fs';
import { basename } from 'node:path';
import type OpenAI from 'openai';

/** Larger files go up in parts of this size: one that breaks off is sent again, not the whole. */
const PART_BYTES = 32 * 2 ** 20;
const PARTS_AT_A_TIME = 2;

export interface UploadOptions {
  /** Seconds after which the copy may be deleted. */
  seconds: number;
  signal: AbortSignal;
  /** For tests: another size of parts. */
  partBytes?: number;
}

/**
 * Sends a file to the service in flat memory, in parts if it is large.
 * @returns the file's id there.
 */
export async function uploadFile(client: OpenAI, path: string, options: UploadOptions): Promise<string> {
  const { signal, partBytes = PART_BYTES } = options;
  const expires = { anchor: 'created_at' as const, seconds: options.seconds };
  // A blob that reads the file when it is sent.
  const blob = await openAsBlob(path);
  const filename = plainName(path);
  if (blob.size <= partBytes) {
    const file = await client.files.create(
      { file: new File([blob], filename), purpose: 'user_data', expires_after: expires },
      { signal },
    );
    return file.id;
  }
  const { id } = await client.uploads.create(
    {
      bytes: blob.size,
      filename,
      mime_type: 'application/octet-stream',
      purpose: 'user_data',
      expires_after: expires,
    },
    { signal },
  );
  try {
    const starts = Array.from({ length: Math.ceil(blob.size / partBytes) }, (_, i) => i * partBytes);
    const parts: string[] = new Array(starts.length).fill('');
    await inParallel(starts.entries(), PARTS_AT_A_TIME, async ([i, start]) => {
      const data = new File([blob.slice(start, start + partBytes)], 'part');
      parts[i] = (await client.uploads.parts.create(id, { data }, { signal })).id;
    });
    const upload = await client.uploads.complete(id, { part_ids: parts }, { signal });
    if (upload.file == null) throw new Error(`The upload ${id} ended without a file.`);
    return upload.file.id;
  } catch (error) {
    await client.uploads.cancel(id).catch(() => {});
    throw error;
  }
}

/** The name as the service takes it: at most 1024 characters, none of them for control. */
function plainName(path: string): string {
  return basename(path)
    .replace(/\p{Cc}/gu, '_')
    .slice(-255);
}

/** Runs `work` on each, so many at a time. The first failure rejects, and nothing more is begun. */
export async function inParallel<T>(
  items: Iterable<T>,
  atATime: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let failed = false;
  const lane = async () => {
    for (let next = iterator.next(); next.done !== true && !failed; next = iterator.next()) {
      try {
        await work(next.value);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: atATime }, lane));
}

/** The `custom_id` of a source: its path, or where that is too long for one, a hash of it. */
export function customId(path: string): string {
  // The limit is 512 characters as JavaScript counts them.
  return path.length <= 512 ? path : `sha256-${createHash('sha256').update(path).digest('hex')}`;
}
