import { readFileSync } from 'node:fs';
import { TAXONOMY } from '@batchmill/safety';
import { expect, test } from 'vitest';

test('docs/safety.md has the taxonomy as the code has it', () => {
  const rows = Object.entries(TAXONOMY).map(([name, { what, ailuminate, openai, azure, llamaGuard }]) => {
    const cell = (all: readonly string[]) => all.map((one) => `\`${one}\``).join(' ') || '–';
    return `| \`${name}\` | ${what} | ${cell(ailuminate)} | ${cell(openai)} | ${cell(azure === null ? [] : [azure])} | ${llamaGuard.join(' ') || '–'} |`;
  });
  const table = [
    '| category | | MLCommons AILuminate | OpenAI | Azure | Llama Guard |',
    '|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
  expect(readFileSync(new URL('../docs/safety.md', import.meta.url), 'utf8')).toContain(table);
});
