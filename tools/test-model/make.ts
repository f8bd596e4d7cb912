/**
 * Writes a random model in Gemma 4's shape: a text GGUF and, if asked for, the projector GGUF with its picture and sound
 * encoders. The same arguments write the same bytes.
 *
 *     node tools/test-model/make.ts --size tiny --out models/test/text.gguf --mmproj models/test/mmproj.gguf
 */
import { mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { writeGguf } from '@batchmill/engine';
import { projector } from './projector.ts';
import { SIZES, type SizeName } from './shapes.ts';
import { textModel } from './text-model.ts';
import { vocabulary } from './vocabulary.ts';

export interface MakeOptions {
  size: SizeName;
  /** The text model's path. */
  out: string;
  mmproj?: string;
  seed?: number;
}

/** Writes the files; each appears under its name only when it is complete. */
export async function makeTestModel({ size, out, mmproj, seed = 1 }: MakeOptions): Promise<void> {
  const shape = SIZES[size];
  const template = readFileSync(new URL('../../packages/engine/src/models/gemma4.jinja', import.meta.url), 'utf8');
  await write(out, textModel(shape.text, vocabulary(shape.text.vocabulary), template, seed));
  if (mmproj !== undefined) await write(mmproj, projector(shape.projector, seed));
}

async function write(path: string, model: ReturnType<typeof textModel>): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const partial = `${path}.${process.pid}.partial`;
  await writeGguf(partial, model.metadata, model.tensors);
  renameSync(partial, path);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      size: { type: 'string', default: 'tiny' },
      out: { type: 'string' },
      mmproj: { type: 'string' },
      seed: { type: 'string', default: '1' },
    },
  });
  const size = values.size;
  if (values.out === undefined || (size !== 'tiny' && size !== 'middle' && size !== 'e2b')) {
    console.error('usage: node make.ts --size tiny|middle|e2b --out TEXT.gguf [--mmproj MMPROJ.gguf] [--seed N]');
    process.exit(2);
  }
  await makeTestModel({
    size,
    out: values.out,
    seed: Number(values.seed),
    ...(values.mmproj === undefined ? {} : { mmproj: values.mmproj }),
  });
  for (const path of [values.out, values.mmproj]) {
    if (path !== undefined) console.log(`${path}: ${statSync(path).size} bytes`);
  }
}
