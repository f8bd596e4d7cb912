import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ensureLlamaServer } from '../llama-server/index.ts';
import { GgufError } from './bytes.ts';
import { memoryNeeds } from './memory.ts';

const at = (name: string) => fileURLToPath(new URL(`../../../../models/${name}`, import.meta.url));

/** MiB of cache that llama-server says it made, full and sliding layers together. */
async function reportedCache(model: string, slots: number, contextTokens: number, batch: number): Promise<number> {
  const { path } = await ensureLlamaServer();
  const folder = mkdtempSync(join(tmpdir(), 'batchmill-memory-'));
  const server = spawn(path, [
    ...['--model', model, '--host', join(folder, 'llama.sock'), '--parallel', String(slots)],
    ...['--ctx-size', String(slots * contextTokens), '--no-kv-unified', '--threads', '1', '--threads-batch', '1'],
    ...['--ubatch-size', String(batch), '--no-ui', '--offline', '--no-warmup', '--verbosity', '4'],
  ]);
  let said = '';
  try {
    for await (const chunk of server.stderr) {
      said += chunk;
      if (said.includes('compute buffer size')) break;
    }
  } finally {
    server.kill('SIGKILL');
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
    rmSync(folder, { recursive: true });
  }
  // The server first tries out how much fits, and then makes it: the last of each kind counts.
  const sizes = new Map<string, number>();
  for (const [, kind = '', mib] of said.matchAll(
    /creating +(\S+) KV cache[\s\S]*?llama_kv_cache: size = +([\d.]+) MiB/g,
  ))
    sizes.set(kind, Number(mib));
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

describe.each([
  ['demo/text.gguf', 4, 8192, 1120],
  ['demo/text.gguf', 2, 1000, 512],
  ['test/text.gguf', 3, 4096, 512],
])('%s in %d slots of %d tokens, %d at once', (name, slots, contextTokens, batch) => {
  test('takes the cache that llama-server makes', async () => {
    const { slot } = memoryNeeds(at(name), null, { contextTokens, batch });
    const reported = await reportedCache(at(name), slots, contextTokens, batch);
    expect(reported).toBeGreaterThan(0);
    expect(Math.abs((slot * slots) / 2 ** 20 - reported)).toBeLessThan(0.02);
  });
});

test('weights are the tensors of the files', () => {
  const { weights, projector } = memoryNeeds(at('demo/text.gguf'), at('demo/mmproj.gguf'), {
    contextTokens: 512,
    batch: 512,
  });
  expect(weights).toBeGreaterThan(3e6);
  expect(projector).toBeGreaterThan(3e6);
  expect(() => memoryNeeds(at('demo/mmproj.gguf'), null, { contextTokens: 512, batch: 512 })).toThrow(GgufError);
});
