import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Bucket, openBucket } from '@batchmill/bucket';
import { type Config, loadConfig } from '@batchmill/config';

/** The bucket the settings name; by default a folder under the home folder. */
export function openConfiguredBucket(config: Config): Promise<Bucket> {
  return openBucket(config.bucketUrl ?? pathToFileURL(resolve(config.home, 'bucket')).href);
}

/** Does `work` on the bucket that the environment names, and closes it whatever comes. */
export async function withConfiguredBucket(work: (bucket: Bucket) => Promise<void>): Promise<void> {
  const bucket = await openConfiguredBucket(loadConfig());
  try {
    await work(bucket);
  } finally {
    await bucket.close();
  }
}
