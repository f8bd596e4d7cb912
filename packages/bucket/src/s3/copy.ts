import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type S3Client,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { statusOf } from './errors.ts';

/** "Amazon S3 multipart upload limits": every part but the last has at least 5 MiB, and there are at most 10,000. */
const MIN_PART = 5 * 1024 * 1024;
const MAX_PARTS = 10_000;
/** A copy takes the server time in proportion to its size (limit: 5 GiB). Half a GiB is done well before a time-out. */
const MAX_COPY = 512 * 1024 * 1024;
const COPIES_AT_A_TIME = 4;

interface ObjectAt {
  Bucket: string;
  Key: string;
}

interface PartCopy {
  CopySource: string;
  CopySourceRange: string | undefined;
}

/** How the server can join the objects by itself, or `null` if S3's rules for parts do not let it. */
export function planCopy(sources: (ObjectAt & { bytes: number })[]): PartCopy[] | null {
  const parts: PartCopy[] = [];
  const filled = sources.filter((source) => source.bytes > 0);
  for (const [i, { Bucket, Key, bytes }] of filled.entries()) {
    if (bytes < MIN_PART && i < filled.length - 1) return null;
    const CopySource = `${Bucket}/${Key.split('/').map(encodeURIComponent).join('/')}`;
    const pieces = Math.ceil(bytes / MAX_COPY);
    const size = Math.ceil(bytes / pieces);
    for (let start = 0; start < bytes; start += size) {
      const range = `bytes=${start}-${Math.min(start + size, bytes) - 1}`;
      parts.push({ CopySource, CopySourceRange: pieces === 1 ? undefined : range });
    }
  }
  return parts.length >= 1 && parts.length <= MAX_PARTS ? parts : null;
}

/**
 * Joins by server-side copy. `false`, with nothing left behind, if the server does not want to: some know no copies into
 * parts, some (R2) want all parts to be of one size.
 */
export async function copyParts(client: S3Client, at: ObjectAt, parts: PartCopy[]): Promise<boolean> {
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(at));
  const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
  const queue = parts.entries();
  const copyNext = async () => {
    for (const [i, part] of queue) {
      const PartNumber = i + 1;
      const response = await client.send(new UploadPartCopyCommand({ ...at, UploadId, PartNumber, ...part }));
      Parts[i] = { PartNumber, ETag: response.CopyPartResult?.ETag };
    }
  };
  try {
    const copies = await Promise.allSettled(Array.from({ length: COPIES_AT_A_TIME }, copyNext));
    for (const copy of copies) if (copy.status === 'rejected') throw copy.reason;
    await client.send(new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload: { Parts } }));
    return true;
  } catch (error) {
    await client.send(new AbortMultipartUploadCommand({ ...at, UploadId }));
    if ([400, 405, 501].includes(statusOf(error))) return false;
    throw error;
  }
}
