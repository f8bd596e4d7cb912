import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const Lock = z.object({
  packages: z.record(
    z.string(),
    z.object({
      /** Of a workspace: where it is. */
      link: z.boolean().optional(),
      resolved: z.string().optional(),
      dependencies: z.record(z.string(), z.string()).default({}),
      peerDependencies: z.record(z.string(), z.string()).default({}),
      peerDependenciesMeta: z.record(z.string(), z.object({ optional: z.boolean().optional() })).default({}),
    }),
  ),
});

/**
 * The folders that `npm ci --omit=dev --omit=optional --workspace <workspace>` installs or links, by package-lock.json: what the workspace
 * depends on, and what that does, each found as Node finds it. Paths from the root, such as `node_modules/hono` and `packages/queue`.
 * @throws Error if the lock file does not have something that is needed
 */
export function closureOf(root: string, workspace: string): Set<string> {
  const { packages } = Lock.parse(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')));
  const found = new Set<string>();
  const visit = (path: string) => {
    const own = packages[path];
    if (own === undefined) throw new Error(`package-lock.json does not have ${path}`);
    if (found.has(path)) return;
    found.add(path);
    if (own.link === true) return visit(own.resolved ?? '');
    const peers = Object.keys(own.peerDependencies).filter((name) => own.peerDependenciesMeta[name]?.optional !== true);
    for (const name of [...Object.keys(own.dependencies), ...peers]) visit(placeOf(name, path));
  };
  /** The nearest `node_modules` at or above a folder that has the package. */
  const placeOf = (name: string, from: string): string => {
    for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/')))) {
      const place = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`;
      if (packages[place] !== undefined) return place;
      if (folder === '') throw new Error(`package-lock.json does not have '${name}', which ${from} needs`);
    }
  };
  visit(workspace);
  return found;
}
