import { homedir } from 'node:os';
import { join } from 'node:path';

/** The folder of this person's caches: `XDG_CACHE_HOME`, or `~/.cache`. Nobody else writes there. */
export function cacheFolder(name: 'compiled' | 'models'): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'batchmill', name);
}
