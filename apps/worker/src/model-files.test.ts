import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { loadConfig } from '@batchmill/config';
import { describeModel } from '@batchmill/engine';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Layout, TEST_PAIR, writeCombined } from '../../../test/models/combined.ts';
import { modelFiles } from './model-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'model-files-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});
const home = () => join(folder, 'home');
const filesOf = (env: Record<string, string>, onProgress?: Parameters<typeof modelFiles>[1]) =>
  modelFiles(loadConfig({ BATCHMILL_HOME: home(), ...env }), onProgress);

test('separate files are used as they are', async () => {
  expect(await filesOf({ MODEL: TEST_PAIR.model, MMPROJ: TEST_PAIR.mmproj })).toEqual(TEST_PAIR);
  expect(await filesOf({ MODEL: TEST_PAIR.model })).toEqual({ model: TEST_PAIR.model, mmproj: null });
  expect(readdirSync(folder)).toEqual([]);
});

test.for<Layout>(['llama.cpp', 'ollama'])(
  'a model with its encoders in it (%s) is split below the home folder',
  async (layout) => {
    const source = join(folder, 'combined.gguf');
    await writeCombined(source, layout);
    const said: string[] = [];
    const files = await filesOf({ MODEL: source }, (message) => said.push(message));
    expect(said.at(-1)).toContain('splitting');
    expect(relative(home(), files.model)).toMatch(/^models\/split\/combined-[0-9a-f]{12}\/text\.gguf$/);
    expect(describeModel(files.model)).toMatchObject({ combined: false, isMmproj: false });
    expect(describeModel(files.mmproj ?? '')).toMatchObject({ isMmproj: true, image: true, audio: true });

    // It may be named twice, and a projector of one's own goes before the one inside.
    expect(await filesOf({ MODEL: source, MMPROJ: source })).toEqual(files);
    expect(await filesOf({ MODEL: source, MMPROJ: TEST_PAIR.mmproj })).toEqual({ ...files, mmproj: TEST_PAIR.mmproj });
  },
);
