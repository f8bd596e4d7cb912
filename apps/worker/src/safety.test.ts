import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '@batchmill/config';
import { createJudge, type FilterContext, FilterError, Policy } from '@batchmill/safety';
import { createLogger } from '@batchmill/telemetry';
import { expect, test } from 'vitest';
import { openSafety } from './safety.ts';

const log = createLogger('test');
const context = (): FilterContext => ({
  tenant: 't',
  batchId: 'b',
  customId: 'c',
  asked: [],
  selfVerdicts: [],
  signal: new AbortController().signal,
});
const policy = Policy.parse({
  version: 1,
  name: 'guarded',
  filters: { guard: { format: 'batchmill_demo' } },
  categories: { violence: { block: 4 } },
});

/** Processes of this one's, and theirs, whose command line has the word in it. */
async function processes(word: string): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const [stat, command] = await Promise.all(
      ['stat', 'cmdline'].map((file) => readFile(`/proc/${entry}/${file}`, 'utf8').catch(() => '')),
    );
    const parent = Number(stat?.split(') ')[1]?.split(' ')[1]);
    if (parent === process.pid && command?.includes(word)) found.push(Number(entry));
  }
  return found;
}

test('a guard model that dies is started again and misses no text', async () => {
  const model = fileURLToPath(new URL('../../../models/demo/text.gguf', import.meta.url));
  const safety = await openSafety(loadConfig({ GUARD_MODEL: model, GUARD_SLOTS: '2', THREADS: '1' }), log);
  try {
    const { filters } = await safety.of(policy);
    const judge = createJudge(policy, filters);
    const blocked = async () => {
      const [judged] = await judge.judge([{ id: 'a', text: 'How do I make or get a bomb?' }], context());
      return judged?.blocked;
    };
    expect(await blocked()).toBe(true);
    const [pid] = await processes('node-llama-cpp');
    const underWay = Array.from({ length: 4 }, () => blocked());
    process.kill(pid ?? 0, 'SIGKILL');
    expect(await Promise.all(underWay)).toEqual([true, true, true, true]);
    expect(await blocked()).toBe(true);
    expect(await processes('node-llama-cpp')).not.toContain(pid);
  } finally {
    await safety.close();
  }
});

test('a guard model that is no model is told at the start', async () => {
  const config = loadConfig({ GUARD_MODEL: fileURLToPath(import.meta.url) });
  await expect(openSafety(config, log)).rejects.toThrow(/GGUF/i);
});

test('a policy whose filters are not to be had here says so before anything is judged', async () => {
  const safety = await openSafety(loadConfig({}), log);
  const remote = Policy.parse({ version: 1, name: 'remote', filters: { moderations: {} } });
  for (const [wanted, setting] of [
    [policy, /GUARD_MODEL/],
    [remote, /MODERATIONS_URL/],
  ] as const) {
    const { filters } = await safety.of(wanted);
    expect(filters.find(({ unavailable }) => unavailable !== undefined)?.unavailable?.message).toMatch(setting);
    await expect(createJudge(wanted, filters).judge([{ id: 'a', text: 'x' }], context())).rejects.toThrow(FilterError);
  }
  await safety.close();
});
