import { type Bucket, layout } from '@batchmill/bucket';
import { newId, RequestError, type UploadPartUrl } from '@batchmill/contract';
import { assertPending, readUpload, UPLOAD_LIMITS, type UploadLimits } from './upload.ts';

/** The largest object S3 takes in one PUT. */
const MOST_PUT_BYTES = 5 * 2 ** 30;

/**
 * URLs to which the parts of an upload can be sent without passing the API: one part each, of exactly the size that was said.
 * They last as long as the upload. `null` if there is no such upload.
 *
 * @param sizes bytes of each part, in the order of the URLs
 * @throws RequestError 400 if the upload is over, the sizes are more than it was created for, or the bucket takes nothing directly
 */
export async function partUrls(
  bucket: Bucket,
  tenant: string,
  id: string,
  sizes: readonly number[],
  limits: UploadLimits = UPLOAD_LIMITS,
): Promise<UploadPartUrl[] | null> {
  const upload = await readUpload(bucket, tenant, id);
  if (upload === null) return null;
  assertPending(upload);
  const { bytes: whole, expires_at } = upload.record;
  const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
  if (total > whole) throw invalidBytes(`the parts have ${total} bytes in all, the upload was created for ${whole}`);
  const largest = Math.max(...sizes);
  if (largest > MOST_PUT_BYTES) throw invalidBytes(`a part may have ${MOST_PUT_BYTES} bytes at most, not ${largest}`);
  if (sizes.length > limits.maxParts) throw invalidBytes(`an upload may have ${limits.maxParts} parts at most`);
  const seconds = Math.max(1, expires_at - Math.floor(Date.now() / 1000));
  return await Promise.all(
    sizes.map(async (bytes) => {
      const part = newId('part_');
      const url = await bucket.presignWrite(layout.upload.part(tenant, id, part), { seconds, bytes });
      if (url === null) throw noDirectUploads(id);
      return { id: part, object: 'upload.part_url', upload_id: id, bytes, method: 'PUT', url, expires_at };
    }),
  );
}

function invalidBytes(why: string): RequestError {
  return new RequestError(400, `Invalid value for 'bytes': ${why}.`, { code: 'invalid_value', param: 'bytes' });
}

function noDirectUploads(id: string): RequestError {
  return new RequestError(
    400,
    `The bucket of this service is a folder, which takes nothing directly: send the parts to /v1/uploads/${id}/parts.`,
    { code: 'no_direct_uploads' },
  );
}
