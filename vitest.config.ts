import { configDefaults, defineConfig } from 'vitest/config';

const TESTS = '{apps,packages,test,bench,tools}/**/*.test.ts';
/** Tests that need what npm cannot give: redis-server, a real S3 server, chromium. `.ci/run` installs those and runs both. */
const SYSTEM = '{apps,packages,test,bench,tools}/**/*.system.test.ts';

export default defineConfig({
  test: {
    // Real servers and engines run beside the tests: two test files at a time keep two cores busy, not drowned.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 240_000,
    env: { LOG_LEVEL: process.env.LOG_LEVEL ?? 'silent' },
    projects: [
      { extends: true, test: { name: 'unit', include: [TESTS], exclude: [...configDefaults.exclude, SYSTEM] } },
      { extends: true, test: { name: 'system', include: [SYSTEM] } },
    ],
  },
});
