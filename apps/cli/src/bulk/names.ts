import { createHash } from 'node:crypto';

/** File systems take names of 255 bytes; our suffixes and temporary names go on top. */
const MAX_SEGMENT_BYTES = 200;

/**
 * Where the outputs of each source go: a path below the output folder, without suffix. `2024/scan.pdf` gives `2024/scan`;
 * where two sources would meet (`scan.pdf` and `scan.png`, or `Scan.pdf` where case does not count), all but the first keep
 * their extension. `kept` are names from earlier runs, which never change: outputs stay where they are when files are added.
 */
export function outputNames(
  paths: readonly string[],
  suffixes: readonly string[],
  kept: ReadonlyMap<string, string> = new Map(),
): Map<string, string> {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const name of kept.values()) taken.add(name.toLowerCase());
  // An output must not have the name of a folder that other outputs go to.
  const folders = new Set<string>();
  for (const path of paths) {
    const segments = safePath(path).toLowerCase().split('/');
    for (let n = 1; n < segments.length; n++) folders.add(segments.slice(0, n).join('/'));
  }
  const isFree = (name: string) =>
    !taken.has(name.toLowerCase()) && !suffixes.some((suffix) => folders.has((name + suffix).toLowerCase()));
  for (const path of paths) {
    const earlier = kept.get(path);
    if (earlier !== undefined) {
      names.set(path, earlier);
      continue;
    }
    const whole = safePath(path);
    const candidates = [withoutExtension(whole), whole];
    let name = candidates.find(isFree);
    for (let n = 2; name === undefined; n++) if (isFree(`${whole}~${n}`)) name = `${whole}~${n}`;
    taken.add(name.toLowerCase());
    names.set(path, name);
  }
  return names;
}

function withoutExtension(path: string): string {
  return path.replace(/(?<=[^/])\.[^./]*$/, '');
}

/**
 * A relative path that stays below the folder it is joined to, whatever an object's key holds: no `.` or `..`, no empty
 * segments, no control characters or backslashes, nothing hidden, no segment longer than a file system takes.
 */
export function safePath(path: string): string {
  return (
    path
      .split('/')
      .filter((segment) => segment !== '')
      .map((segment) => {
        const plain = segment.replace(/[\p{Cc}\\]/gu, '_').replace(/^\./, '_');
        if (Buffer.byteLength(plain) <= MAX_SEGMENT_BYTES) return plain;
        const hash = createHash('sha256').update(plain).digest('hex').slice(0, 12);
        const extension = /\.[A-Za-z0-9]{1,8}$/.exec(plain)?.[0] ?? '';
        // Whole characters of at most 4 bytes each.
        return `${[...plain].slice(0, 40).join('')}-${hash}${extension}`;
      })
      .join('/') || '_'
  );
}
