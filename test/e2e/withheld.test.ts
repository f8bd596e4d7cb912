import { execFileSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { newHome, ServiceProcess } from '../servers/service.ts';
import { chat, jsonl } from './items.ts';
import { clientOf, ended, submit } from './suite.ts';

/**
 * What a policy withholds is nowhere: everything the service keeps (bucket, queue's database, logs at the most talkative level) is
 * searched for it. The model is made to write it by a schema, since random weights write nothing on purpose.
 */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const POLICY = `version: 1
name: default
filters:
  rules: [{name: number, pattern: 'ZEBRA"\\s*,\\s*"b', category: internal, severity: 4}]
categories: {internal: redact}
`;
const BLOCKING = POLICY.replace('name: default', 'name: blocking').replace('redact', 'block');
const KEEPING = `${BLOCKING.replace('blocking', 'keeping')}withheld: quarantine\n`;
/** As the answer has it, and never the request, in whatever JSON it is quoted in. */
const WITHHELD = /ZEBRA\\*"\s*,\s*\\*"b/;

const Body = z.object({ content_policy: z.string(), choices: z.array(z.record(z.string(), z.unknown())) });

let home: string;
let policies: string;
let identity: string;
let service: ServiceProcess;
const cli = (...args: string[]) =>
  execFileSync(process.execPath, [join(ROOT, 'apps/cli/src/main.ts'), ...args], {
    env: { ...process.env, BATCHMILL_HOME: home, QUEUE_URL: '', BUCKET_URL: '' },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });

beforeAll(async () => {
  home = await newHome();
  policies = `${home}-policies`;
  await mkdir(policies);
  await writeFile(join(policies, 'default.yaml'), POLICY);
  await writeFile(join(policies, 'blocking.yaml'), BLOCKING);
  await writeFile(join(policies, 'keeping.yaml'), KEEPING);
  identity = join(policies, 'identity.txt');
  await writeFile(identity, cli('quarantine', 'keygen'));
  const { identityToRecipient } = await import('age-encryption');
  const { readFile } = await import('node:fs/promises');
  service = await ServiceProcess.start({
    entry: 'apps/cli/src/main.ts',
    args: ['start'],
    env: {
      BATCHMILL_HOME: home,
      PORT: '0',
      QUEUE_URL: '',
      BUCKET_URL: '',
      ENGINE: 'node-llama-cpp',
      THREADS: '1',
      LOG_LEVEL: 'trace',
      POLICIES: policies,
      QUARANTINE_RECIPIENT: await identityToRecipient((await readFile(identity, 'utf8')).trim()),
    },
    ready: (printed) => printed.includes('Batchmill is up'),
  });
});
afterAll(async () => {
  await service?.end();
  await rm(home, { recursive: true, force: true });
  await rm(policies, { recursive: true, force: true });
});

/** Files below a folder that hold something like what was withheld, read in pieces that overlap. */
async function holding(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile() || (await stat(path).catch(() => null)) === null) continue;
    let before = '';
    for await (const chunk of createReadStream(path, 'latin1')) {
      const text = before + String(chunk);
      if (WITHHELD.test(text)) {
        found.push(path);
        break;
      }
      before = text.slice(-16);
    }
  }
  return found;
}

/** Always the same form, never in the request itself. */
const writes = (id: string) =>
  chat(id, 'Which number?', {
    max_tokens: 60,
    response_format: {
      type: 'json_schema',
      json_schema: {
        name: 'n',
        schema: {
          type: 'object',
          properties: { a: { const: 'ZEBRA' }, b: { const: 'QUARTZ' } },
          required: ['a', 'b'],
          additionalProperties: false,
        },
      },
    },
  });

test('what is redacted, blocked or kept in quarantine stands nowhere else', async () => {
  const client = clientOf(/(http:\/\/[\d.]+:\d+)\/v1/.exec(service.stdout)?.[1] ?? '');
  const input = [writes('a'), writes('b')];
  const run = async (headers: Record<string, string> = {}) => {
    const batch = await ended(client, await submit(client, jsonl(input), { headers }));
    const lines = await (await client.files.content(batch.output_file_id ?? '')).text();
    const bodies = lines
      .trimEnd()
      .split('\n')
      .map((line) => Body.parse(Object(JSON.parse(line)).response.body));
    return { batch, bodies };
  };
  const redacted = await run();
  const choice = redacted.bodies[0]?.choices[0];
  expect(choice).toMatchObject({
    message: { content: expect.stringContaining('[number]') },
    content_filter_results: { internal: { filtered: false, detected: true, redacted: true } },
  });
  expect(redacted.batch).toMatchObject({
    content_filter_summary: { internal: { annotated: 0, redacted: 2, blocked: 0 } },
  });
  const blocked = await run({ 'x-content-policy': 'blocking' });
  expect(blocked.bodies[1]?.choices[0]).toMatchObject({
    message: { content: null },
    finish_reason: 'content_filter',
  });
  const kept = await run({ 'x-content-policy': 'keeping' });
  expect(kept.batch).toMatchObject({ content_filter_summary: { internal: { blocked: 2 } } });
  const policy = redacted.bodies[0]?.content_policy;
  expect(policy).toMatch(/^[0-9a-f]{64}$/);
  expect(blocked.bodies[0]?.content_policy).not.toBe(policy);

  const records = cli('audit', 'export')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(records).toHaveLength(6);
  expect(records[0]).toMatchObject({ tenant: 'default', custom_id: 'a', action: 'redact', policy, label: 'number' });
  const [entry = ''] = cli('quarantine', 'list').trimEnd().split('\n');
  const [tenant = '', batchId = '', position = ''] = entry.split(' ');
  expect(batchId).toBe(kept.batch.id);
  expect(cli('quarantine', 'read', tenant, batchId, position, '--identity', identity)).toMatch(WITHHELD);

  expect(service.printed).toContain('"level"');
  expect(WITHHELD.test(service.printed)).toBe(false);
  await service.end();
  expect(await holding(home)).toEqual([]);
}, 120_000);
