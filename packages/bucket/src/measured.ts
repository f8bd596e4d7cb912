import { innerSpan, metrics, seconds } from '@batchmill/telemetry';
import type { Bucket, ObjectInfo } from './port.ts';

/** The same bucket, its operations counted and timed, and shown in the traces of what they serve. */
export function measured(bucket: Bucket): Bucket {
  const measure = async <T>(operation: string, key: string, work: () => Promise<T>): Promise<T> => {
    const end = seconds();
    let outcome = 'failed';
    try {
      const result = await innerSpan(`bucket.${operation}`, { 'bucket.key': key }, work);
      outcome = 'ok';
      return result;
    } finally {
      metrics.bucketSeconds.observe({ operation, outcome }, end());
    }
  };
  return {
    url: bucket.url,
    put: (key, body) => measure('put', key, () => bucket.put(key, body)),
    create: (key, body) => measure('create', key, () => bucket.create(key, body)),
    write: (key, source, options) => measure('write', key, () => bucket.write(key, source, options)),
    get: (key) => measure('get', key, () => bucket.get(key)),
    read: (key, range) => measure('read', key, () => bucket.read(key, range)),
    head: (key) => measure('head', key, () => bucket.head(key)),
    list: (prefix, options) => measuredList(bucket.list(prefix, options)),
    delete: (key) => measure('delete', key, () => bucket.delete(key)),
    concat: (key, sources) => measure('concat', key, () => bucket.concat(key, sources)),
    presign: (key, options) => bucket.presign(key, options),
    presignWrite: (key, options) => bucket.presignWrite(key, options),
    check: () => measure('check', '', () => bucket.check()),
    close: () => bucket.close(),
  };
}

/** Time to the first entry: what comes after waits for whoever reads the list. */
async function* measuredList(list: AsyncIterable<ObjectInfo>): AsyncGenerator<ObjectInfo> {
  const end = seconds();
  let seen = false;
  const observe = (outcome: string) => {
    if (!seen) metrics.bucketSeconds.observe({ operation: 'list', outcome }, end());
    seen = true;
  };
  try {
    for await (const object of list) {
      observe('ok');
      yield object;
    }
    observe('ok');
  } catch (error) {
    observe('failed');
    throw error;
  }
}
