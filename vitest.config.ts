import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { configDefaults, defineConfig } from 'vitest/config';

const TESTS = '{apps,packages,test,bench,tools}/**/*.test.ts';
/** Tests that need what npm cannot give: redis-server, a real S3 server, chromium. `.ci/run` installs those and runs both. */
const SYSTEM = '{apps,packages,test,bench,tools}/**/*.system.test.ts';
/** Tests on llama-server, which is built once with a C++ compiler and git. */
const NATIVE = '{apps,packages,test,bench,tools}/**/*.native.test.ts';

const onPath = (program: string): boolean =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
const native =
  process.env.CI !== undefined ||
  Boolean(process.env.LLAMA_SERVER) ||
  onPath('llama-server') ||
  (['c++', 'g++', 'clang++'].some(onPath) && onPath('git'));
if (!native)
  console.warn(
    'NOT RUN: the tests on llama-server (*.native.test.ts). There is no C++ compiler with git here to build it with, and no\n' +
      'LLAMA_SERVER. Text is tested on node-llama-cpp. To run all: apt-get install g++ git',
  );

export default defineConfig({
  test: {
    // Real servers and engines run beside the tests: two test files at a time keep two cores busy, not drowned.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 240_000,
    env: {
      LOG_LEVEL: process.env.LOG_LEVEL ?? 'silent',
      // Tests start hundreds of processes of the product: types are stripped once, and not by each.
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(tmpdir(), 'batchmill-compile-cache'),
    },
    // The one-time build of llama-server, with its progress, before any test's clock runs.
    globalSetup: native ? ['test/setup/llama-server.ts'] : [],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          // One process for many files: what they import is loaded once. None changes what belongs to the process.
          isolate: false,
          include: [TESTS],
          exclude: [...configDefaults.exclude, SYSTEM, ...(native ? [] : [NATIVE])],
        },
      },
      // Whole stacks of processes, killed and brought back: a loaded machine takes its time.
      { extends: true, test: { name: 'system', include: [SYSTEM], testTimeout: 180_000, hookTimeout: 600_000 } },
    ],
  },
});
