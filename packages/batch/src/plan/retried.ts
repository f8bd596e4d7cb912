import type { Bucket } from '@batchmill/bucket';
import type { RetryKind } from '@batchmill/contract';
import { readFile } from '@batchmill/files';
import { z } from 'zod';
import type { BatchFact } from '../state.ts';
import { Fingerprints } from './fingerprints.ts';
import { splitLines } from './lines.ts';

/** What is looked at of a line of an error file. */
const ErrorLine = z.object({
  custom_id: z.string(),
  response: z.object({ status_code: z.number() }).nullable(),
  error: z.object({ code: z.string() }).nullable(),
});

/** The `custom_id`s that a retry does again, or `gone` if the error file that names them is not there any more. */
export async function failedLines(
  bucket: Bucket,
  tenant: string,
  retry: NonNullable<BatchFact['retry_of']>,
): Promise<Fingerprints | 'gone'> {
  const source = await readFile(bucket, tenant, retry.error_file_id);
  if (source === null) return 'gone';
  const found = new Fingerprints();
  for await (const lines of splitLines(source, Number.POSITIVE_INFINITY)) {
    for (const { bytes } of lines) {
      if (bytes === null) continue;
      const line = ErrorLine.parse(JSON.parse(bytes.toString('utf8')));
      if (isWanted(line, retry.only)) found.add(line.custom_id);
    }
  }
  return found;
}

function isWanted({ response, error }: z.infer<typeof ErrorLine>, only: readonly RetryKind[]): boolean {
  if (error?.code === 'batch_expired') return only.includes('expired');
  if (error?.code === 'batch_cancelled') return only.includes('cancelled');
  const ofServer = response === null || response.status_code >= 500;
  return only.includes('failed') || (ofServer && only.includes('server_error'));
}
