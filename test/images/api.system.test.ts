import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePorts } from '../servers/ports.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { ServiceProcess } from '../servers/service.ts';
import { closureOf } from './closure.ts';

/**
 * The tree of `infra/docker/api.Dockerfile` and `lambda.Dockerfile`, without the minutes that `npm ci` takes: of everything installed here, what
 * package-lock.json gives to the API. What a package imports and nobody declares is not there, so the API does not start.
 */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const closure = closureOf(ROOT, 'apps/api');
let folder: string;
let redis: RedisServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-api-image-'));
  redis = await startRedis();
  await cp(join(ROOT, 'package.json'), join(folder, 'package.json'));
  for (const path of [...closure].sort()) {
    const [from, to] = [join(ROOT, path), join(folder, path)];
    await mkdir(dirname(to), { recursive: true });
    if (path.startsWith('node_modules/@batchmill/')) await symlink(join(folder, 'packages', path.slice(24)), to);
    else
      await cp(from, to, {
        recursive: true,
        filter: (source) =>
          !source.slice(from.length).split(sep).includes('node_modules') && !source.endsWith('.test.ts'),
      });
  }
});
afterAll(async () => {
  await redis?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('the images of the API have no engine, and nothing that decodes media', () => {
  const packages = [...closure].map((path) => path.replace(/^.*node_modules\//, ''));
  expect(packages).toContain('@batchmill/safety');
  const others = ['engine', 'media', 'tasks', 'worker', 'cli'].map((name) => `@batchmill/${name}`);
  for (const name of [...others, 'node-llama-cpp', 'sharp', 'piscina', 'openai']) expect(packages).not.toContain(name);
});

test('the API starts from what its image holds, answers, judges, and ends on SIGTERM', async () => {
  const [port = 0] = await freePorts(1);
  const api = await ServiceProcess.start({
    root: `${folder}/`,
    entry: 'apps/api/src/main.ts',
    env: { PORT: String(port), QUEUE_URL: redis.url, BUCKET_URL: pathToFileURL(join(folder, 'bucket')).href },
    ready: (printed) => printed.includes('the API is up'),
  });
  const at = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init);
  expect(await (await at('/readyz')).json()).toMatchObject({ checks: { bucket: 'ok', queue: 'ok' } });
  expect((await at('/docs')).status).toBe(200);
  const body = JSON.stringify({ input: 'An erotic story about a child.' });
  const headers = { 'content-type': 'application/json' };
  const judged = await at('/v1/moderations', { method: 'POST', headers, body });
  expect(await judged.json()).toMatchObject({ results: [{ flagged: true }] });
  expect(await api.end()).toBe(0);
});

test("what Lambda's image compiles, all that is loaded late among it, is there", async () => {
  const dockerfile = await readFile(join(ROOT, 'infra/docker/lambda.Dockerfile'), 'utf8');
  const program = /node --input-type=module -e "(.+)"/.exec(dockerfile)?.[1] ?? '';
  expect(program).toContain('apps/api/lambda.mjs');
  const here = program.replaceAll('/var/task/', `${folder}/`);
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', here], { cwd: folder });
});
