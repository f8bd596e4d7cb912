import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePorts } from '../servers/ports.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { ServiceProcess } from '../servers/service.ts';

/**
 * The tree as `infra/docker/api.Dockerfile` makes it: the same `npm ci`, and then only the packages npm linked for the API.
 * What a package imports and does not declare is not there, so the API does not start.
 */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;
let redis: RedisServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-api-image-'));
  redis = await startRedis();
  const copy = (path: string) =>
    cp(join(ROOT, path), join(folder, path), {
      recursive: true,
      filter: (source) => !source.includes('node_modules'),
    });
  await Promise.all(['package.json', 'package-lock.json', '.npmrc', 'apps', 'packages'].map(copy));
  const install = ['ci', '--omit=dev', '--omit=optional', '--workspace', 'apps/api'];
  await promisify(execFile)('npm', install, { cwd: folder });
  // As the Dockerfile: the engine goes, since guard models, which need it, run in workers.
  await rm(join(folder, 'node_modules', '@batchmill', 'engine'));
  await rm(join(folder, 'node_modules', 'node-llama-cpp'), { recursive: true, force: true });
  const linked = await readdir(join(folder, 'node_modules', '@batchmill'));
  for (const name of await readdir(join(folder, 'packages'))) {
    if (!linked.includes(name)) await rm(join(folder, 'packages', name), { recursive: true });
  }
  await rm(join(folder, 'apps', 'worker'), { recursive: true });
  await rm(join(folder, 'apps', 'cli'), { recursive: true });
});
afterAll(async () => {
  await redis?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('the API starts from what its image holds, answers, and ends on SIGTERM', async () => {
  const packages = await readdir(join(folder, 'packages'));
  expect(packages).not.toContain('engine');
  expect(packages).not.toContain('media');
  const [port = 0] = await freePorts(1);
  const api = await ServiceProcess.start({
    root: `${folder}/`,
    entry: 'apps/api/src/main.ts',
    env: { PORT: String(port), QUEUE_URL: redis.url, BUCKET_URL: pathToFileURL(join(folder, 'bucket')).href },
    ready: (printed) => printed.includes('the API is up'),
  });
  const ready = await fetch(`http://127.0.0.1:${port}/readyz`);
  expect(await ready.json()).toMatchObject({ checks: { bucket: 'ok', queue: 'ok' } });
  expect((await fetch(`http://127.0.0.1:${port}/docs`)).status).toBe(200);
  expect(await api.end()).toBe(0);
});
