import { FinalFact, readFact } from '@batchmill/batch';
import { type Bucket, layout } from '@batchmill/bucket';
import { UrlSigner } from '@batchmill/files';

/** How long the signed URL of an output file in an event opens it, in seconds. */
export const OUTPUT_URL_SECONDS = 3_600;

/** A signed URL of a batch's output file; `null` if there is no such file (any more), or no way to sign. */
export type OutputUrl = (tenant: string, batchId: string) => Promise<string | null>;

/** Signed by the store, or, where it has no signed URLs (a folder), by the API at `publicUrl`; `null`: then there are none. */
export function outputUrls(bucket: Bucket, publicUrl: string | null): OutputUrl {
  const signer = new UrlSigner(bucket);
  return async (tenant, batchId) => {
    const final = await readFact(bucket, layout.batch.final(tenant, batchId), FinalFact);
    if (final === null || final.output_file_id === null) return null;
    const key = layout.file.content(tenant, final.output_file_id);
    if ((await bucket.head(key)) === null) return null;
    const filename = `${batchId}_output.jsonl`;
    const presigned = await bucket.presign(key, { seconds: OUTPUT_URL_SECONDS, filename });
    if (presigned !== null || publicUrl === null) return presigned;
    return signer.sign(publicUrl, tenant, final.output_file_id, OUTPUT_URL_SECONDS);
  };
}
