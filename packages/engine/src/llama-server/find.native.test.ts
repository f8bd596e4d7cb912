import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EngineError } from '../port.ts';
import { ensureLlamaServer } from './find.ts';
import { findLibraries, kinds } from './libraries.ts';
import { readVersion } from './version.ts';

const { PATH, LLAMA_SERVER, CXX } = process.env;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'find-'));
  delete process.env.LLAMA_SERVER;
  delete process.env.CXX;
});
afterEach(() => {
  Object.assign(process.env, { PATH });
  if (LLAMA_SERVER !== undefined) process.env.LLAMA_SERVER = LLAMA_SERVER;
  if (CXX !== undefined) process.env.CXX = CXX;
  rmSync(folder, { recursive: true });
});

/** A program that only knows its version. */
function program(name: string, output: string, exitCode = 0): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\necho '${output}' >&2\nexit ${exitCode}\n`);
  chmodSync(path, 0o755);
  return path;
}

async function failure(options: Parameters<typeof ensureLlamaServer>[0]): Promise<EngineError> {
  const error = await ensureLlamaServer(options).catch((reason: unknown) => reason);
  if (error instanceof EngineError) return error;
  throw new Error(`No EngineError: ${String(error)}`);
}

test.for([
  ['version: 0.4.0-dev (build 1, commit 5b4ebc5)\nbuilt with GNU 11.4.0', '0.4.0-dev', false],
  ['version: 1.2.3 (build 12000, commit abc)', '1.2.3', false],
  ['version: 0.3.9 (build 9000, commit abc)', '0.3.9', true],
  ['version: 6123 (79c1160b)\nbuilt with cc', 'b6123', true],
  ['who knows', 'unknown', true],
] as const)('%s', ([output, version, old]) => {
  const read = readVersion(output);
  expect(read.version).toBe(version);
  expect(read.concern !== null).toBe(old);
});

test('LLAMA_SERVER is used whatever its version, with a warning when it is old', async () => {
  process.env.LLAMA_SERVER = program('mine', 'version: 6123 (79c1160b)');
  const found = await ensureLlamaServer();
  expect(found).toMatchObject({ path: process.env.LLAMA_SERVER, version: 'b6123' });
  expect(found.warnings).toEqual([expect.stringMatching(/older than llama.cpp 0.4.0/)]);
});

test('LLAMA_SERVER that does not run is an error, not a reason to look elsewhere', async () => {
  process.env.LLAMA_SERVER = program('broken', 'error while loading shared libraries', 127);
  const error = await failure({});
  expect(error.code).toBe('engine_missing');
  expect(error.message).toContain(process.env.LLAMA_SERVER);
});

test('a llama-server on the PATH is used', async () => {
  const path = program('llama-server', 'version: 0.4.1 (build 2, commit abc)');
  process.env.PATH = `${folder}:${PATH}`;
  expect(await ensureLlamaServer({ cacheDir: folder })).toEqual({ path, version: '0.4.1', warnings: [] });
});

test('an old one on the PATH is used, with a warning, only where there is no other', async () => {
  const path = program('llama-server', 'version: 6123 (79c1160b)');
  process.env.PATH = folder;
  const found = await ensureLlamaServer({ cacheDir: folder, allowBuild: false });
  expect(found.path).toBe(path);
  expect(found.warnings).toHaveLength(1);
  process.env.PATH = `${folder}:${PATH}`;
  expect((await ensureLlamaServer()).path).not.toBe(path);
}, 600_000);

test('nothing there and nothing to be built: the error says so', async () => {
  process.env.PATH = folder;
  expect((await failure({ cacheDir: folder, allowBuild: false })).message).toMatch(/no llama-server/);
});

test('without compiler and git the error names the ways out', async () => {
  mkdirSync(join(folder, 'cache'));
  process.env.PATH = folder;
  const error = await failure({ cacheDir: join(folder, 'cache') });
  expect(error.code).toBe('engine_missing');
  expect(error.message).toMatch(/a C\+\+ compiler and git/);
  expect(error.message).toMatch(/apt-get install g\+\+ git/);
  expect(error.message).toMatch(/LLAMA_SERVER/);
});

test('a build that fails says what the compiler said, and leaves nothing behind', async () => {
  process.env.CXX = program('c++', 'fatal: no space left', 1);
  const cacheDir = join(folder, 'cache');
  const error = await failure({ cacheDir, gpu: 'cpu' });
  expect(error.code).toBe('engine_missing');
  expect(error.message).toContain('no space left');
  expect(readdirSync(cacheDir)).toEqual([]);
});

test('the libraries that node-llama-cpp ships for this platform are found', () => {
  const kind = kinds()[0];
  const cpu = findLibraries('cpu') ?? findLibraries(kind ?? 'cpu');
  expect(cpu?.release).toMatch(/^v\d/);
  expect(cpu?.files.some((file) => file.startsWith('libllama-common.'))).toBe(true);
  expect(findLibraries('cpu', 'sunos-sparc')).toBeNull();
});
