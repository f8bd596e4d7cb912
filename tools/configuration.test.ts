import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '@batchmill/config';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const names = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map((match) => match[1] ?? '');

/** Rows of the tables in docs/configuration.md whose first cell is variables: name → default cell. */
const documented = new Map<string, string>();
for (const line of read('docs/configuration.md').split('\n')) {
  const [, first = '', second = ''] = line.split('|').map((cell) => cell.trim());
  for (const name of names(first, /`([A-Z][A-Z0-9_]+)`/g)) documented.set(name, second);
}

const schema = names(read('packages/config/src/config.ts'), /^ {2}([A-Z][A-Z0-9_]+): /gm);

/** Variables read past packages/config, in product code. */
const others = globSync(['apps/**/*.ts', 'packages/**/*.ts'], { cwd: ROOT })
  .filter((path) => !/node_modules|\.test\.ts$|\/test-[^/]*$|conformance/.test(path))
  .flatMap((path) => names(read(path), /\benv\.([A-Z][A-Z0-9_]+)/g));

/** Ours between two of our own processes, the shell's, and Node's own. */
const INTERNAL = ['BATCHMILL_POSTGRES_PASSWORD', 'PATH', 'XDG_CACHE_HOME', 'NODE_COMPILE_CACHE'];
/** Read by the AWS SDK, not by us. */
const OF_THE_SDK = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'];

test('every setting is in docs/configuration.md, and nothing else is', () => {
  const known = new Set([...schema, ...others, ...OF_THE_SDK].filter((name) => !INTERNAL.includes(name)));
  expect([...documented.keys()].sort()).toEqual([...known].sort());
});

test('the defaults in docs/configuration.md are those of the code', () => {
  const config = loadConfig({});
  const inCode: Record<string, unknown> = {
    BATCHMILL_HOME: config.home,
    HOST: config.host,
    PORT: config.port,
    ENGINE: config.engine.kind,
    SLOTS: config.engine.slots,
    CONTEXT_TOKENS: config.engine.contextTokens,
    IMAGE_TOKENS: config.engine.imageTokens,
    ITEM_TIMEOUT: config.worker.itemTimeoutMs / 1000,
    PART_INTERVAL: config.worker.partIntervalMs / 1000,
    STOP_GRACE: config.worker.stopGraceMs / 1000,
    SWEEP_INTERVAL: config.worker.sweepIntervalMs / 1000,
    WORKER_LOCK: config.worker.lockMs / 1000,
    MAX_WORKERS: config.scaling.maxWorkers,
    WORKER_START: config.scaling.startSeconds,
    SCALE_PACE: config.scaling.pace * 100,
    SCALE_PATIENCE: config.scaling.patienceSeconds,
    MAX_FILE_MB: config.limits.fileBytes / 2 ** 20,
    MAX_BATCH_MB: config.limits.batchBytes / 2 ** 20,
    MAX_BATCH_ITEMS: config.limits.batchItems,
    MAX_LINE_MB: config.limits.lineBytes / 2 ** 20,
    GUARD_SLOTS: config.safety.guardSlots,
    FETCH_HTTP: config.fetch.http ? '1' : '0',
    S3_INPUTS: JSON.stringify(config.s3Inputs),
    RETENTION: JSON.stringify(config.retention),
  };
  for (const [name, value] of Object.entries(inCode))
    expect([name, documented.get(name)]).toEqual([name, `\`${value}\``]);
});

test('.env.example names only settings that exist', () => {
  const settings = names(read('.env.example'), /^#?([A-Z][A-Z0-9_]+)=/gm);
  // MODELS_DIR is of docker-compose.yml.
  for (const name of settings) expect([...documented.keys(), 'MODELS_DIR']).toContain(name);
});
