import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Bucket, openBucket } from '@batchmill/bucket';
import type { Config } from '@batchmill/config';

/** The bucket the settings name; by default a folder under the home folder. */
export function openConfiguredBucket(config: Config): Promise<Bucket> {
  return openBucket(config.bucketUrl ?? pathToFileURL(resolve(config.home, 'bucket')).href);
}
