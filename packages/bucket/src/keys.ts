import { BucketKeyError } from './port.ts';

/** One segment of a key. The alphabet is plain in a URL path, in every file system and in S3, and ASCII: so string order is byte order. */
const SEGMENT = /^[A-Za-z0-9._=+-]+$/;
const MAX_KEY = 900;
/** The longest file name ext4, XFS, APFS and NTFS take. */
const MAX_SEGMENT = 255;

/** Whether `name` can be one segment of a key. */
export function isSegment(name: string): boolean {
  return SEGMENT.test(name) && name !== '.' && name !== '..' && name.length <= MAX_SEGMENT;
}

/** Whether both adapters can store an object at `key` (see `Bucket`). */
export function isKey(key: string): boolean {
  return key.length <= MAX_KEY && key.split('/').every(isSegment);
}

/** Throws a `BucketKeyError` unless `isKey(key)`. */
export function checkKey(key: string): void {
  if (isKey(key)) return;
  throw new BucketKeyError(
    `Not a key: ${JSON.stringify(key.slice(0, 200))}. A key is made of segments of A-Z a-z 0-9 . _ = + - joined by "/", ` +
      `at most ${MAX_SEGMENT} bytes each and ${MAX_KEY} in all, and no segment is "." or "..".`,
  );
}

/** Throws a `BucketKeyError` unless `prefix` can be the beginning of a key: whole segments, and then perhaps a part of one. */
export function checkPrefix(prefix: string): void {
  const segments = prefix.split('/');
  const last = segments.pop() ?? '';
  // "." and ".." are the beginnings of keys such as "..a".
  const lastIsFine = last === '' || (SEGMENT.test(last) && last.length <= MAX_SEGMENT);
  if (prefix.length <= MAX_KEY && segments.every(isSegment) && lastIsFine) return;
  throw new BucketKeyError(`No key begins with ${JSON.stringify(prefix.slice(0, 200))}.`);
}

/** Throws a `RangeError` unless both ends are whole bytes in order. */
export function checkRange(range: { start: number; end?: number }): void {
  const end = range.end ?? range.start;
  if (Number.isSafeInteger(range.start) && Number.isSafeInteger(end) && range.start >= 0 && end >= range.start) return;
  throw new RangeError(`Not a byte range: ${range.start}-${range.end ?? ''}`);
}
