import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ENDPOINTS } from '@batchmill/contract';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const doc = read('docs/api.md');
const sources = globSync(
  [
    'apps/{api,worker}/**/*.ts',
    'packages/{batch,contract,files,guard,keys,media,safety,tasks,triggers,webhooks}/**/*.ts',
  ],
  {
    cwd: ROOT,
  },
).filter((path) => !/node_modules|\.test\.ts$|\/test-[^/]*$|conformance/.test(path));

/** Codes that go onto the wire: `code: 'x'` of a RequestError or a line, and those of the planner's two short forms. */
function codesInCode(): Set<string> {
  const codes = new Set<string>();
  for (const path of sources) {
    // Zod's own, of checks by hand.
    for (const [, code = ''] of read(path).matchAll(
      /(?:\bcode: |\bcode === '\w+' \? |\berror\(|\bofFile\()'([a-z_]+)'/g,
    ))
      if (code !== 'custom') codes.add(code);
  }
  return codes;
}

/** First cells after the status, or first cells, of the tables of errors. */
function codesInDoc(): Set<string> {
  const errors = doc.slice(doc.indexOf('## Errors of requests'));
  const rows = errors.split('\n').filter((line) => line.startsWith('| ') && !line.includes('`code`'));
  const cells = rows.map((row) => row.split('|').map((cell) => cell.trim()));
  const named = cells.map(([, first = '', second = '']) => (/^\d+$/.test(first) ? second : first)).join(' ');
  const last = errors.slice(errors.indexOf('In `error.code` of a line'));
  return new Set([...`${named} ${last.split('\n')[0]}`.matchAll(/`([a-z]+(?:_[a-z0-9]+)*)`/g)].map((m) => m[1] ?? ''));
}

test('every error code of the wire is in docs/api.md', () => {
  const documented = codesInDoc();
  expect([...codesInCode()].filter((code) => !documented.has(code))).toEqual([]);
});

test('docs/api.md has no error code that no source has', () => {
  // Some codes are put together (`upload_${status}`) or chosen between, so the source is searched for the word's parts.
  const text = sources.map(read).join('\n');
  const known = (code: string) => text.includes(`'${code}'`) || (/^upload_/.test(code) && /`upload_\$\{/.test(text));
  expect([...codesInDoc()].filter((code) => !known(code))).toEqual([]);
});

test('docs/api.md names every endpoint of batches', () => {
  for (const endpoint of ENDPOINTS) expect(doc).toContain(`\`${endpoint}\``);
});
