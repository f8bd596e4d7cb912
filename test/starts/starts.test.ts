import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { openBucket } from '@batchmill/bucket';
import { createKey } from '@batchmill/keys';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';

/**
 * What processes load before there is use for it, held without a clock: commands that talk to a server and functions that live for a second
 * pay for every package. Each list is also looked for where it is wanted, so that a name that is wrong here fails.
 */
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BULLMQ = ['bullmq', 'ioredis', 'pg'];
const FILTERS = ['stdnum', 'libphonenumber-js', 'obscenity', 'naughty-words'];
const RULES = ['ajv', 're2js'];
const POLICY_FILES = ['yaml'];
/** No start has a use for these. */
const LATE = [
  'undici',
  '@secretlint/core',
  'cockatiel',
  'age-encryption',
  'rate-limiter-flexible',
  'jsonata',
  'bullmq-otel',
];
const S3 = ['@aws-sdk/client-s3'];
const MODELS = ['packages/engine', 'packages/media', 'packages/tasks', 'sharp', 'piscina', '@huggingface/jinja'];

interface Run {
  stdout: string;
  stderr: string;
  loaded: Set<string>;
}

/** Runs a program and says which packages it loaded. */
async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Run> {
  const report = pathToFileURL(join(ROOT, 'test/starts/loaded.mjs')).href;
  const child = spawn(process.execPath, ['--import', report, ...args], { cwd: ROOT, env: { ...process.env, ...env } });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const line = /^loaded: (.*)$/m.exec(stderr)?.[1];
  if (line === undefined) throw new Error(`it did not come to its end: ${stderr}`);
  return { stdout, stderr, loaded: new Set(z.array(z.string()).parse(JSON.parse(line))) };
}

const among = (names: readonly string[], { loaded }: Run) => names.filter((name) => loaded.has(name));
const cli = (...args: string[]) => run(['apps/cli/src/main.ts', ...args], { BATCHMILL_HOME: folder });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-starts-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the command', () => {
  test('its help is made of nothing but the commands’ names', async () => {
    const help = await cli('--help');
    expect(help.stdout).toMatch(/^ {2}transcribe /m);
    expect([...help.loaded].toSorted()).toEqual(['apps/cli', 'commander']);
  });

  test('help of one command knows its options, asked either way', async () => {
    const [one, other] = await Promise.all([cli('help', 'submit'), cli('submit', '--help')]);
    expect(one.stdout).toMatch(/--watch/);
    expect(other.stdout).toBe(one.stdout);
  });

  test.each([
    ['get', ['get', 'batch_1']],
    ['ocr', ['ocr', 'README.md', '--out', 'out']],
  ])('%s at a server loads nothing of what runs one', async (_, args) => {
    const at = args.map((arg) => (arg === 'out' ? join(folder, 'out') : arg));
    const asked = await cli(...at, '--url', 'not a url');
    expect(asked.loaded).toContain('openai');
    expect(
      among(['packages/bucket', 'packages/queue', 'packages/telemetry', 'apps/api', 'apps/worker'], asked),
    ).toEqual([]);
  });

  test('keys are made with the bucket alone', async () => {
    const made = await cli('keys', 'create', '--name', 'a');
    expect(made.stdout).toMatch(/^bm_live_/);
    expect(among([...BULLMQ, ...FILTERS, ...RULES, ...POLICY_FILES, ...LATE, ...S3, ...MODELS], made)).toEqual([]);
  });
});

describe('the API', () => {
  let key: string;
  let env: Record<string, string>;
  beforeAll(async () => {
    const url = pathToFileURL(join(folder, 'bucket')).href;
    const bucket = await openBucket(url);
    ({ key } = await createKey(bucket, { name: 'a', tenant: 'default' }));
    // Nobody listens there: what needs no queue must not ask for it.
    env = { BUCKET_URL: url, QUEUE_URL: 'redis://127.0.0.1:9' };
  });
  const ask = (method: string, path: string, body?: object, more: Record<string, string> = {}) =>
    run(['test/starts/api.ts', method, path, key, ...(body === undefined ? [] : [JSON.stringify(body)])], {
      ...env,
      ...more,
    });

  test('starts and lists batches without filters, queue, S3 and what serves models', async () => {
    const asked = await ask('GET', '/v1/batches');
    expect(asked.stdout).toBe('200');
    expect(among([...BULLMQ, ...FILTERS, ...RULES, ...POLICY_FILES, ...LATE, ...S3, ...MODELS], asked)).toEqual([]);
  });

  test('judges texts with the filters that the policy wants, and no others', async () => {
    const asked = await ask('POST', '/v1/moderations', { input: 'a' });
    expect(asked.stdout).toBe('200');
    expect(among(['obscenity', 'stdnum', ...RULES, ...POLICY_FILES, ...LATE], asked)).toEqual(['obscenity']);
  });

  test('reads policy files at the start, and loads their filters with the first text', async () => {
    const policies = join(folder, 'policies');
    await mkdir(policies);
    const filters = 'personal_data: {region: DE}\n  secrets: {}\n  lexicon: {lists: [profanity_de]}\n';
    const rules = '  rules: [{name: n, pattern: KD-1, category: internal, severity: 4}]\n';
    await writeFile(join(policies, 'default.yaml'), `version: 1\nname: default\nfilters:\n  ${filters}${rules}`);
    const more = { POLICIES: policies };
    const listed = await ask('GET', '/v1/batches', undefined, more);
    const heavy = [...POLICY_FILES, ...RULES, ...FILTERS, '@secretlint/core'];
    expect(among(heavy, listed)).toEqual([...POLICY_FILES, ...RULES]);
    const judged = await ask('POST', '/v1/moderations', { input: 'a' }, more);
    expect(judged.stdout).toBe('200');
    expect(among(heavy, judged)).toEqual(heavy);
    await writeFile(join(policies, 'default.yaml'), 'version: 1\nname: default\ncategories:\n  hate: blocks\n');
    const wrong = await ask('GET', '/v1/batches', undefined, more);
    expect(wrong).toMatchObject({ stdout: '', stderr: expect.stringContaining('default.yaml:4:9: ') });
  });
});

test('a control worker loads neither the engine nor what prepares media', async () => {
  const imported = await run([
    '--input-type=module',
    '--eval',
    "await import('./apps/worker/src/index.ts'); await import('./apps/worker/src/control/control.ts');",
  ]);
  expect(imported.loaded).toContain('packages/webhooks');
  expect(among([...BULLMQ, ...FILTERS, ...RULES, ...POLICY_FILES, ...LATE, ...S3, ...MODELS], imported)).toEqual([]);
});
