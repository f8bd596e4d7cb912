import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { checkArrows, type Layer } from './check-arrows.ts';

const LAYERS: Layer[] = [
  { packages: ['low'], siblings: false },
  { packages: ['mid', 'side'], siblings: true },
  { packages: ['top', 'other'], siblings: false },
];

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** A tree with the given files; a package.json is written for each package, `needs` in its dependencies. */
function tree(needs: Record<string, string[]>, files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'batchmill-arrows-'));
  folders.push(root);
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  write('package.json', JSON.stringify({ devDependencies: { vitest: '1' } }));
  for (const [path, names] of Object.entries(needs)) {
    const dependencies = Object.fromEntries(names.map((name) => [name, '*']));
    write(`${path}/package.json`, JSON.stringify({ name: `@batchmill/${path.split('/')[1]}`, dependencies }));
  }
  for (const [path, text] of Object.entries(files)) write(path, text);
  return root;
}

const check = (needs: Record<string, string[]>, files: Record<string, string>) =>
  checkArrows(tree(needs, files), LAYERS);

test('a tree in order has nothing wrong', () => {
  const wrong = check(
    { 'packages/low': ['zod'], 'packages/mid': ['@batchmill/low'], 'apps/top': ['@batchmill/low', '@batchmill/mid'] },
    {
      'packages/low/src/a.ts': "import { z } from 'zod';\nimport { b } from './b.ts';\nimport fs from 'node:fs';\n",
      'packages/low/src/a.test.ts':
        "import { test } from 'vitest';\nimport { start } from '../../../test/servers/x.ts';\n",
      'packages/mid/src/a.ts': "export * from '@batchmill/low';\n",
      'apps/top/src/a.ts': "import type {\n  A,\n  B,\n} from '@batchmill/low';\nawait import('@batchmill/mid');\n",
    },
  );
  expect(wrong).toEqual([]);
});

test.for<[string, string, RegExp]>([
  [
    'packages/low/src/a.ts',
    "import { a } from '@batchmill/mid';",
    /a\.ts:1: 'low' must not import 'mid'.*higher layer/,
  ],
  ['packages/low/src/a.ts', "import type { A } from '@batchmill/mid';", /must not import 'mid'/],
  ['packages/low/src/a.ts', "\n\nexport { a } from '@batchmill/mid';", /a\.ts:3: .*must not import 'mid'/],
  ['packages/low/src/a.ts', "const a = await import('@batchmill/mid');", /must not import 'mid'/],
  ['packages/low/src/a.ts', "type A = import('@batchmill/mid').A;", /must not import 'mid'/],
  ['apps/top/src/a.ts', "import '@batchmill/other';", /'top' must not import 'other'.*same layer/],
  ['packages/mid/src/a.ts', "import { a } from '@batchmill/gone';", /there is no package 'gone'/],
  ['packages/mid/src/a.ts', "import { a } from '@batchmill/mid';", /imports itself by name/],
  [
    'packages/mid/src/a.ts',
    "import { a } from '../../low/src/a.ts';",
    /'\.\.\/\.\.\/low\/src\/a\.ts' leaves the package/,
  ],
  ['packages/mid/src/a.ts', "import { a } from '../../../test/a.ts';", /leaves the package/],
  ['packages/mid/src/a.ts', "import pino from 'pino';", /'pino' is not in the dependencies of packages\/mid/],
  ['packages/mid/src/a.ts', "import x from '@x/y/z';", /'@x\/y' is not in the dependencies/],
  ['packages/mid/src/a.ts', "import { test } from 'vitest';", /'vitest' is not in the dependencies/],
  ['packages/mid/src/a.ts', "import { suite } from './conformance.ts';", /is for tests, and this is not one/],
  ['packages/mid/src/a.ts', "const a = import.meta.resolve('pino');", /'pino' is not in the dependencies/],
])('%s with %s is told', ([path, text, message]) => {
  const needs = { 'packages/low': [], 'packages/mid': [], 'apps/top': [], 'apps/other': [] };
  expect(check(needs, { [path]: text }).join('\n')).toMatch(message);
});

test('what is declared and not used, and a package in no layer, are told', () => {
  const wrong = check({ 'packages/low': [], 'packages/mid': ['@batchmill/low'], 'packages/new': [] }, {});
  expect(wrong).toEqual([
    "packages/mid/package.json declares '@batchmill/low', which nothing in it imports.",
    "packages/new is in no layer. Add 'new' to LAYERS in tools/check-arrows.ts.",
  ]);
});

test('a circle of siblings is told once', () => {
  const wrong = check(
    { 'packages/mid': ['@batchmill/side'], 'packages/side': ['@batchmill/mid'] },
    {
      'packages/mid/src/a.ts': "import '@batchmill/side';",
      'packages/side/src/a.ts': "import '@batchmill/mid';",
    },
  );
  expect(wrong).toEqual(['Packages use each other in a circle: mid → side → mid.']);
});

test('comments, strings and templates are not imports', () => {
  const text = [
    "// import { a } from 'one';",
    "/* export * from 'two'; */",
    'const a = "import { a } from \'three\'";',
    "const b = `\nimport x from 'four';\n`;",
    "const c = Array.from('five');",
    "const url = 'https://example.com'; import('six');",
    "const re = /\\/\\/.*\\/*/; import('seven');",
  ].join('\n');
  const wrong = check({ 'packages/mid': [] }, { 'packages/mid/src/a.ts': text });
  expect(wrong.map((line) => /'(\w+)' is not/.exec(line)?.[1])).toEqual(['six', 'seven']);
});

test('the command prints what is wrong and ends with 1, and is silent when nothing is', async () => {
  const script = fileURLToPath(new URL('./check-arrows.ts', import.meta.url));
  const run = (root: string) => promisify(execFile)(process.execPath, [script, root]);
  const bad = tree({ 'packages/contract': [] }, { 'packages/contract/src/a.ts': "import 'zod';" });
  await expect(run(bad)).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/a\.ts:1: 'zod'[\s\S]*1 to put right/),
  });
  const good = tree({ 'packages/contract': ['zod'] }, { 'packages/contract/src/a.ts': "import 'zod';" });
  await expect(run(good)).resolves.toEqual({ stdout: '', stderr: '' });
});
