import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RequestError } from '@batchmill/contract';
import { DEFAULT_POLICY, type Policy, PolicyError, strictest } from '../policy/index.ts';

const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;
const FILE = /^(.+)\.ya?ml$/;

/** The policies of an installation, as its operator wrote them. */
export interface Policies {
  /**
   * What an item of this tenant is judged by: the floor of everybody, the tenant's own floor, and what its key or its batch
   * chose, all of them at once: a choice can only make things stricter.
   * @throws RequestError 400 `unknown_policy` if there is none of that name.
   */
  resolve(tenant: string, chosen: readonly string[]): Policy;
  /** Names that can be chosen. */
  readonly names: readonly string[];
}

/**
 * Reads a folder of policy files: `default.yaml` is the floor of everybody (without it, the built-in policy is),
 * `tenants/<tenant>.yaml` that of one tenant, and every other `<name>.yaml` can be chosen by a key or a batch. `null`: no
 * folder, the built-in policy for everybody.
 * @throws PolicyError with every problem of every file, so that a service with a wrong policy does not start.
 */
export async function loadPolicies(folder: string | null): Promise<Policies> {
  if (folder === null) return BUILT_IN;
  return policiesOf(await readFolder(folder), await readFolder(join(folder, 'tenants'), true));
}

/** The built-in policy for everybody, and nothing to choose. */
export const BUILT_IN: Policies = policiesOf(new Map(), new Map());

function policiesOf(named: Map<string, Policy>, floors: ReadonlyMap<string, Policy>): Policies {
  const everybody = strictest(DEFAULT_POLICY, named.get('default') ?? DEFAULT_POLICY);
  named.delete('default');
  const names = [...named.keys()].sort();
  return {
    names,
    resolve(tenant, chosen) {
      const own = floors.get(tenant);
      let policy = own === undefined ? everybody : strictest(everybody, own);
      for (const name of chosen) {
        if (name === 'default') continue;
        const choice = named.get(name);
        if (choice === undefined)
          throw new RequestError(
            400,
            `No such content policy: '${name}'. ${names.length === 0 ? 'None can be chosen here.' : `There are: ${names.join(', ')}.`}`,
            { code: 'unknown_policy' },
          );
        policy = strictest(policy, choice);
      }
      return policy;
    },
  };
}

async function readFolder(folder: string, optional = false): Promise<Map<string, Policy>> {
  const policies = new Map<string, Policy>();
  const problems: string[] = [];
  for (const entry of await entries(folder, optional)) {
    const name = FILE.exec(entry)?.[1];
    if (name === undefined) continue;
    const path = join(folder, entry);
    if (!NAME.test(name)) {
      problems.push(`${path}: a policy's name must be 1 to 63 of a-z, 0-9, "_" and "-"`);
      continue;
    }
    const { parsePolicy } = await import('../policy/parse.ts');
    try {
      policies.set(name, parsePolicy(await readFile(path, 'utf8'), path));
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      problems.push(error.message);
    }
  }
  if (problems.length > 0) throw new PolicyError(problems.join('\n'));
  return policies;
}

async function entries(folder: string, optional: boolean): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (missing && optional) return [];
    if (missing)
      throw new PolicyError(`${folder}: there is no such folder. Set POLICIES to the folder of policy files.`);
    throw error;
  }
}
