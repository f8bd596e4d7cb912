import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{apps,packages,test,bench,tools}/**/*.test.ts'],
    // Real servers and engines run beside the tests: two test files at a time keep two cores busy, not drowned.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 120_000,
  },
});
