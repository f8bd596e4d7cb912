import { Readable } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';

/** With S3's limit of 10,000 parts, objects of up to 80 GB. */
const PART_BYTES = 8 * 1024 * 1024;
/** Parts on their way at a time: about 40 MB of memory, and enough to fill a line whose round trip is long. */
const PARTS_AT_A_TIME = 4;

/**
 * Uploads a stream; one that fits into a part in one request. If the source throws, the parts on their way are waited for,
 * then the upload is aborted on the server, and only then does this throw: nothing is left. `Upload.abort()` is not used,
 * because it rejects before it has cleaned up, and not at all while the source is silent: an abort comes as an error of the
 * source (`Abortable`).
 */
export async function upload(
  client: S3Client,
  at: { Bucket: string; Key: string },
  source: AsyncIterable<Uint8Array>,
): Promise<void> {
  const body = Readable.from(source);
  try {
    await new Upload({
      client,
      params: { ...at, Body: body },
      partSize: PART_BYTES,
      queueSize: PARTS_AT_A_TIME,
    }).done();
  } finally {
    body.destroy();
  }
}
