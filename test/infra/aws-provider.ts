import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Terraform's AWS provider 6.66 as typed by CDK Terrain: its types are made from the provider's own schema. */
const TYPES = ['@cdktn/provider-aws', '25.7.0'] as const;

export interface Block {
  /** Names that may be given, and whether they must. */
  attributes: ReadonlyMap<string, { required: boolean; block: string | null }>;
}

/** The folder of the provider's types, fetched from npm once. */
async function typesFolder(): Promise<string> {
  const [name, version] = TYPES;
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'batchmill');
  const folder = join(cache, `terraform-aws-${version}`);
  if (await stat(folder).catch(() => null)) return join(folder, 'package', 'lib');
  const part = `${folder}.${process.pid}`;
  await mkdir(part, { recursive: true });
  try {
    await run('npm', ['pack', '--silent', `${name}@${version}`], { cwd: part });
    await run('sh', ['-c', "tar xzf *.tgz --wildcards 'package/lib/*/index.d.ts' && rm *.tgz"], { cwd: part });
    await rename(part, folder);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
  return join(folder, 'package', 'lib');
}

/**
 * The blocks of a resource or data source by name, the outermost under ''. `null` if the provider has no such type.
 *
 * @param type e.g. `aws_s3_bucket`
 */
export async function awsBlocks(mode: 'resource' | 'data', type: string): Promise<Map<string, Block> | null> {
  const name = type.replace(/^aws_/, mode === 'data' ? 'data-aws-' : '').replaceAll('_', '-');
  const text = await readFile(join(await typesFolder(), name, 'index.d.ts'), 'utf8').catch(() => null);
  if (text === null) return null;
  const blocks = new Map<string, Block>();
  for (const [, interfaceName = '', extended, body = ''] of text.matchAll(
    /export interface (\w+)( extends cdktn\.TerraformMetaArguments)? \{\n([\s\S]*?)\n\}/g,
  )) {
    const attributes = new Map<string, { required: boolean; block: string | null }>();
    // A link to the documentation, whose anchor is the name in Terraform, stands above each field.
    for (const [, attribute = '', optional, fieldType = ''] of body.matchAll(
      /#(\w+) \w+#\w+\}(?:(?!\*\/)[\s\S])*\*\/\s*readonly \w+(\??): ([^;]+);/g,
    )) {
      const struct = /^([A-Z]\w+)(?:\[\])?(?: \| cdktn\.IResolvable)?$/.exec(fieldType)?.[1] ?? null;
      attributes.set(attribute, { required: optional !== '?', block: struct });
    }
    blocks.set(extended === undefined ? interfaceName : '', { attributes });
  }
  return blocks;
}
