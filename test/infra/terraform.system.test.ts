import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { goProgram } from '../servers/go-module.ts';
import { awsBlocks, type Block } from './aws-provider.ts';

/**
 * The Terraform module, without Terraform: parsed by HCL's own parser, formatted as `terraform fmt` has it, every type, attribute and
 * block held against the AWS provider's schema, and every reference against what is declared.
 */
const MODULE = fileURLToPath(new URL('../../infra/terraform/aws', import.meta.url));
const run = promisify(execFile);
// Its types bring a browser's with them, which differ from Node's.
const { parse }: { parse(name: string, text: string): Promise<Record<string, unknown>> } = createRequire(
  import.meta.url,
)('@cdktf/hcl2json');

const Value = z.record(z.string(), z.json());
type Value = z.infer<typeof Value>;
const Named = z.record(z.string(), z.record(z.string(), z.array(Value)));
const Module = z.object({
  resource: Named.default({}),
  data: Named.default({}),
  variable: z.record(z.string(), z.array(Value)).default({}),
  output: z.record(z.string(), z.array(Value)).default({}),
  locals: z.array(Value).default([]),
});
type Module = z.infer<typeof Module>;

/** What every resource may say. */
const META = new Set(['count', 'for_each', 'depends_on', 'lifecycle', 'provider', 'dynamic']);

let files: { name: string; text: string }[];
let module: Module;
beforeAll(async () => {
  const names = (await readdir(MODULE)).filter((name) => name.endsWith('.tf')).sort();
  files = await Promise.all(names.map(async (name) => ({ name, text: await readFile(join(MODULE, name), 'utf8') })));
  const merged: Record<string, unknown> = { locals: [] };
  for (const { name, text } of files) mergeInto(merged, await parse(name, text));
  module = Module.parse(merged);
});

function mergeInto(into: Record<string, unknown>, from: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(from)) {
    const there = into[key];
    if (Array.isArray(value)) into[key] = [...((there as unknown[]) ?? []), ...value];
    else if (there !== undefined) mergeInto(there as Record<string, unknown>, value as Record<string, unknown>);
    else into[key] = value;
  }
}

/** What is wrong with a block, by the schema of its type. */
function problems(at: string, value: Value, block: Block, blocks: ReadonlyMap<string, Block>): string[] {
  const found: string[] = [];
  const given = new Set(Object.keys(value));
  const nested = new Map(Object.entries(value));
  for (const dynamic of Object.entries(Value.safeParse(value.dynamic).data ?? {})) {
    const [name, uses] = dynamic as [string, { content: Value[] }[]];
    given.add(name);
    nested.set(
      name,
      uses.flatMap((use) => use.content),
    );
  }
  for (const [name, content] of nested) {
    if (META.has(name) || (name === 'timeouts' && !block.attributes.has(name))) continue;
    const attribute = block.attributes.get(name);
    if (attribute === undefined) {
      found.push(`${at}: '${name}' is not known`);
      continue;
    }
    const inner = attribute.block === null ? undefined : blocks.get(attribute.block);
    if (inner === undefined || !Array.isArray(content)) continue;
    for (const one of content)
      if (Value.safeParse(one).success) found.push(...problems(`${at}.${name}`, Value.parse(one), inner, blocks));
  }
  for (const [name, { required }] of block.attributes)
    if (required && !given.has(name)) found.push(`${at}: '${name}' is missing`);
  return found;
}

async function check(
  mode: 'resource' | 'data',
  declared: Module['resource'],
): Promise<{ checked: number; found: string[] }> {
  const found: string[] = [];
  let checked = 0;
  for (const [type, named] of Object.entries(declared)) {
    if (!type.startsWith('aws_')) continue;
    const blocks = await awsBlocks(mode, type);
    const outermost = blocks?.get('');
    for (const [name, values] of Object.entries(named)) {
      if (blocks === null || outermost === undefined) found.push(`${mode} ${type} is not known`);
      else for (const value of values) found.push(...problems(`${type}.${name}`, value, outermost, blocks));
      checked += 1;
    }
  }
  return { checked, found };
}

test('every AWS resource and data source is what the provider knows', async () => {
  const resources = await check('resource', module.resource);
  const data = await check('data', module.data);
  expect([...resources.found, ...data.found]).toEqual([]);
  expect(resources.checked).toBeGreaterThan(30);
  expect(data.checked).toBeGreaterThan(5);
});

test('the check itself: what is misspelt, missing or in the wrong block is found', async () => {
  const { found } = await check('resource', {
    aws_s3_bucket_lifecycle_configuration: {
      x: [{ rule: [{ id: 'a', status: 'Enabled', expiration: [{ dayz: 3 }] }] }],
    },
    aws_s3_buckets: { x: [{}] },
  });
  expect(found).toEqual([
    "aws_s3_bucket_lifecycle_configuration.x.rule.expiration: 'dayz' is not known",
    "aws_s3_bucket_lifecycle_configuration.x: 'bucket' is missing",
    'resource aws_s3_buckets is not known',
  ]);
});

test('every reference leads to something that is declared, and everything declared is used', () => {
  const all = files.map(({ text }) => text.replace(/^\s*#.*$/gm, '')).join('\n');
  const declared = new Set<string>();
  for (const name of Object.keys(module.variable)) declared.add(`var.${name}`);
  for (const locals of module.locals) for (const name of Object.keys(locals)) declared.add(`local.${name}`);
  for (const [type, named] of Object.entries(module.resource))
    for (const name of Object.keys(named)) declared.add(`${type}.${name}`);
  for (const [type, named] of Object.entries(module.data))
    for (const name of Object.keys(named)) declared.add(`data.${type}.${name}`);
  const used = new Set(
    [...all.matchAll(/(?<![\w."/-])(var\.\w+|local\.\w+|data\.\w+\.\w+|(?:aws|kubernetes|helm|random)_\w+\.\w+)/g)].map(
      ([, name]) => name ?? '',
    ),
  );
  expect([...used].filter((name) => !declared.has(name))).toEqual([]);
  const unused = [...declared].filter((name) => /^(?:var|local|data)\./.test(name) && !used.has(name));
  expect(unused).toEqual([]);
});

test('is formatted', async () => {
  const hclfmt = await goProgram('hclfmt', 'github.com/hashicorp/hcl/v2/cmd/hclfmt', 'v2.24.0');
  for (const { name, text } of files) {
    const { stdout } = await run(hclfmt, [join(MODULE, name)]);
    expect(text, name).toBe(stdout);
  }
});
