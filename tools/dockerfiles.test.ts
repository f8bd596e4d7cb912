import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { validate } from 'dockerfile-utils';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DOCKERFILES = globSync('infra/docker/*.Dockerfile', { cwd: ROOT });

/** Lambda brings its own user, init and checks. */
const SERVICES = DOCKERFILES.filter((path) => !path.includes('lambda'));

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** The instructions, continued lines joined. */
function instructions(path: string): string[] {
  return read(path)
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '');
}

test.for(DOCKERFILES)('%s is a good Dockerfile', (path) => {
  const problems = validate(read(path)).map((p) => `line ${p.range.start.line + 1}: ${p.message}`);
  expect(problems).toEqual([]);
});

test.for(DOCKERFILES)('%s copies only what is there and what .dockerignore lets in', (path) => {
  const ignored = read('.dockerignore').split('\n');
  const sources = instructions(path)
    .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
    .flatMap((line) => line.split(/\s+/).slice(1, -1));
  expect(sources).not.toEqual([]);
  for (const source of sources) {
    expect(existsSync(join(ROOT, source)), source).toBe(true);
    expect(ignored, source).not.toContain(source);
  }
});

test.for(SERVICES)('%s runs what exists, not as root, under tini, with a health check', (path) => {
  const last = (name: string) => instructions(path).findLast((line) => line.startsWith(`${name} `)) ?? '';
  expect(last('USER')).toBe('USER 10001');
  expect(last('ENTRYPOINT')).toContain('tini');
  expect(last('HEALTHCHECK')).toContain('/readyz');
  const main = /"(apps\/[^"]+)"/.exec(last('CMD'))?.[1] ?? '';
  expect(existsSync(join(ROOT, main)), main).toBe(true);
});

test("Lambda's image runs a handler that exists, and so does its alternative", () => {
  const lambda = 'infra/docker/lambda.Dockerfile';
  expect(instructions(lambda).findLast((line) => line.startsWith('CMD '))).toBe('CMD ["lambda.handler"]');
  for (const name of ['lambda', 'lambda-streaming'])
    expect(existsSync(join(ROOT, 'apps/api', `${name}.mjs`))).toBe(true);
});

test('images and compose name files and targets that exist', () => {
  expect(DOCKERFILES.map((path) => basename(path)).sort()).toEqual([
    'api.Dockerfile',
    'lambda.Dockerfile',
    'worker.Dockerfile',
  ]);
  const compose = read('docker-compose.yml');
  for (const [, path = ''] of compose.matchAll(/dockerfile: (\S+)/g)) expect(DOCKERFILES).toContain(path);
  for (const [, target] of compose.matchAll(/target: (\w+)$/gm)) {
    expect(read('infra/docker/worker.Dockerfile')).toMatch(new RegExp(`^FROM .* AS ${target}$`, 'm'));
  }
});
