import type { Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path';
import type { S3InputInfo } from '@batchmill/bucket/s3-inputs';
import { CommandError } from '../errors.ts';

/** One document or recording to work on. */
export interface Source {
  /** Below the root, with `/` between: its name for people, and in the state. */
  path: string;
  bytes: number;
  /** Changes when the content does: size and time of a file, size and ETag of an object. */
  version: string;
  /** Where its bytes are. */
  at: { file: string } | { url: string };
}

export interface Found {
  /** What the paths are relative to: an absolute folder, or `s3://bucket/prefix/`. */
  root: string;
  /** In the order of their paths. */
  sources: Source[];
  /** What was passed over, with the reason. Folders end in a slash. */
  skipped: { path: string; reason: string }[];
}

export interface FindOptions {
  /** Kinds of files taken, by extension, lower case, without the dot. A file that is named itself is taken whatever it is called. */
  extensions: ReadonlySet<string>;
  /** What the kinds are called: `documents and pictures`. */
  called: string;
  /** A folder not to look into, absolute: where the outputs go. */
  except: string;
}

/**
 * The sources at `where`: a folder with all below it, one file, or an `s3://` prefix.
 * @throws CommandError if there is nothing there.
 */
export async function findSources(where: string, options: FindOptions): Promise<Found> {
  const found = where.startsWith('s3://') ? await findObjects(where, options) : await findFiles(where, options);
  if (found.sources.length === 0) {
    const others = found.skipped.length === 0 ? '' : ` (${found.skipped.length} passed over: ${example(found)})`;
    throw new CommandError(`There are no ${options.called} at '${where}'${others}.`);
  }
  found.sources.sort((a, b) => (a.path < b.path ? -1 : 1));
  return found;
}

function example({ skipped: [first] }: Found): string {
  return first === undefined ? '' : `${first.path}: ${first.reason}, …`;
}

async function findFiles(where: string, options: FindOptions): Promise<Found> {
  const info = await stat(where).catch(() => null);
  if (info === null) throw new CommandError(`There is no file or folder '${where}'.`);
  const absolute = resolve(where);
  if (!info.isDirectory()) {
    if (!info.isFile()) throw new CommandError(`'${where}' is neither a file nor a folder.`);
    const source = fileSource(basename(absolute), absolute, info);
    return { root: dirname(absolute), sources: [source], skipped: [] };
  }
  const found: Found = { root: absolute, sources: [], skipped: [] };
  const folders = [absolute];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const entries = await readdir(folder, { withFileTypes: true }).catch((error: Error) => error);
    const path = (name: string) => relative(absolute, join(folder ?? absolute, name)).replaceAll(sep, '/');
    if (entries instanceof Error) {
      found.skipped.push({ path: `${path('')}/`, reason: entries.message });
      continue;
    }
    for (const entry of entries) {
      const full = join(folder, entry.name);
      if (full === options.except) continue;
      const skip = (reason: string) =>
        found.skipped.push({ path: path(entry.name) + (entry.isDirectory() ? '/' : ''), reason });
      if (entry.name.startsWith('.')) skip('hidden');
      else if (entry.isDirectory()) folders.push(full);
      else {
        // Links to files are followed, links to folders are not: they may lead in circles.
        const info = await stat(full).catch((error: Error) => error);
        if (info instanceof Error) skip(info.message);
        else if (!info.isFile()) skip(info.isDirectory() ? 'a link to a folder' : 'not a file');
        else if (!options.extensions.has(extensionOf(entry.name))) skip(`not one of ${options.called}`);
        else found.sources.push(fileSource(path(entry.name), full, info));
      }
    }
  }
  return found;
}

function fileSource(path: string, file: string, info: Stats): Source {
  return { path, bytes: info.size, version: `${info.size} ${info.mtimeMs}`, at: { file } };
}

async function findObjects(where: string, options: FindOptions): Promise<Found> {
  const objects: S3InputInfo[] = [];
  const { listS3Inputs } = await import('@batchmill/bucket/s3-inputs');
  for await (const object of listS3Inputs(where)) objects.push(object);
  const single = objects.length === 1 && objects[0]?.url === where;
  const root = single ? where.slice(0, where.lastIndexOf('/') + 1) : where.replace(/\/*$/, '/');
  const found: Found = { root, sources: [], skipped: [] };
  for (const { url, bytes, etag, modified } of objects) {
    // `s3://bucket/scans` may be an object beside the folder of that name.
    const path = url.startsWith(root) ? url.slice(root.length) : url.slice(url.lastIndexOf('/') + 1);
    if (single || options.extensions.has(extensionOf(path)))
      found.sources.push({ path, bytes, version: `${bytes} ${etag ?? modified}`, at: { url } });
    else found.skipped.push({ path, reason: `not one of ${options.called}` });
  }
  return found;
}

/** `scan.TIFF` → `tiff`; `` without one. */
function extensionOf(name: string): string {
  return extname(name).slice(1).toLowerCase();
}
