import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeModel } from '@batchmill/engine';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TEST_PAIR, writeCombined } from '../../../../test/models/combined.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'models-split-'));
  await writeCombined(join(folder, 'all.gguf'), 'ollama');
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function batchmill(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [MAIN, ...args], (_, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr });
    });
  });
}

test('models split writes the pair, prints its settings, and replaces nothing', async () => {
  const out = join(folder, 'out');
  const done = await batchmill('models', 'split', join(folder, 'all.gguf'), '--out', out);
  expect(done).toMatchObject({
    code: 0,
    stdout: `MODEL=${join(out, 'all-text.gguf')}\nMMPROJ=${join(out, 'all-mmproj.gguf')}\n`,
  });
  expect(describeModel(join(out, 'all-text.gguf')).combined).toBe(false);
  expect(describeModel(join(out, 'all-mmproj.gguf'))).toMatchObject({ image: true, audio: true });

  const again = await batchmill('models', 'split', join(folder, 'all.gguf'), '--out', out);
  expect(again).toMatchObject({ code: 1, stdout: '' });
  expect(again.stderr).toContain('all-text.gguf is there already');
});

test('models split of a text model says so, without a stack', async () => {
  const { code, stderr } = await batchmill('models', 'split', TEST_PAIR.model, '--out', folder);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^\S+text\.gguf has no vision or audio encoder in it: [^\n]+\n$/);
  expect(readdirSync(folder)).not.toContain('text-text.gguf');
});

test('models size says what a model takes, and how many slots fit', async () => {
  const model = fileURLToPath(new URL('../../../../models/demo/text.gguf', import.meta.url));
  const mmproj = fileURLToPath(new URL('../../../../models/demo/mmproj.gguf', import.meta.url));
  const said = await batchmill('models', 'size', model, '--mmproj', mmproj, '--slots', '8', '--memory', '4');
  expect(said.code).toBe(0);
  expect(said.stdout).toMatch(/cache, 8 slots of 8192 tokens +117 MiB\n {2}of one slot +15 MiB\n/);
  expect(said.stdout).toMatch(/\d+ such slots fit in 4 GiB\./);
  const figures = JSON.parse((await batchmill('models', 'size', model, '--slots', '2', '--json')).stdout);
  expect(figures).toMatchObject({ slots: 2, projector: 0, cache: 2 * figures.slot });
  expect(figures.total).toBe(figures.weights + figures.cache + figures.scratch);
  const wrong = await batchmill('models', 'size', MAIN);
  expect([wrong.code, wrong.stdout]).toEqual([1, '']);
  expect(wrong.stderr).toContain('is not a GGUF');
});
