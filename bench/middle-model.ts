import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The middle-sized random model (Gemma 4's shape, about 200 M parameters, Q4_0): speed does not depend on what the weights
 * say. Made once, kept under `~/.cache/batchmill/models`.
 */
export function middleModel(): { model: string; mmproj: string } {
  const folder = join(homedir(), '.cache', 'batchmill', 'models');
  const model = join(folder, 'middle.gguf');
  const mmproj = join(folder, 'middle-mmproj.gguf');
  if (!existsSync(model) || !existsSync(mmproj)) {
    process.stderr.write('making the middle-sized random model …\n');
    const script = fileURLToPath(new URL('../tools/test-model/make.ts', import.meta.url));
    execFileSync(process.execPath, [script, '--size', 'middle', '--out', model, '--mmproj', mmproj]);
  }
  return { model, mmproj };
}
