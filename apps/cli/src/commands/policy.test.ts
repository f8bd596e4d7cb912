import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-policy-'));
});
afterAll(() => rm(folder, { recursive: true }));

function policy(args: string[], env: NodeJS.ProcessEnv = {}) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    const command = [join(ROOT, 'apps/cli/src/main.ts'), 'policy', ...args];
    const child = execFile(
      process.execPath,
      command,
      { cwd: ROOT, env: { ...process.env, THREADS: '1', ...env } },
      (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}
const file = async (name: string, text: string) => {
  await writeFile(join(folder, name), text);
  return join(folder, name);
};

test('the examples can be used, and do what their labels say', async () => {
  const examples = ['default', 'personal-data', 'strict'].map((name) => `examples/policies/${name}.yaml`);
  const checked = await policy(['check', ...examples]);
  expect(checked.code).toBe(0);
  expect(checked.stdout.match(/: ok, policy '[\w-]+' [0-9a-f]{64}/g)).toHaveLength(3);
  const tested = await policy([
    'test',
    'examples/policies/personal-data.yaml',
    '--on',
    'examples/policies/labelled.jsonl',
  ]);
  expect(tested.stdout).toMatch(/expected \\ got +pass +annotate +redact +block\npass +\d/);
  expect(tested.stdout).toMatch(/(\d+) of \1 as expected/);
  expect(tested.code).toBe(0);
});

test('what is wrong is said with its place, what differs with its line, and neither ends well', async () => {
  const wrong = await file(
    'wrong.yaml',
    'version: 1\nname: wrong\ncategories:\n  hate: blocks\n  sexual_minors: annotate\n',
  );
  const labels = await file(
    'labels.jsonl',
    '{"text": "joe@example.com", "expect": "pass"}\n{"text": "nothing", "expect": "pass"}\n',
  );
  const [checked, tested] = await Promise.all([
    policy(['check', wrong]),
    policy(['test', 'examples/policies/personal-data.yaml', '--on', labels]),
  ]);
  expect(checked.code).toBe(1);
  expect(checked.stderr).toContain(`${wrong}:4:9: `);
  expect(checked.stderr).toContain('1 of 1 files cannot be used');
  expect(tested).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('line 1: expected pass, got redact\n1 of 2'),
  });
  expect(tested.stdout).not.toContain('joe');
});

test('a guard model is asked where one is to be had, and missed where it is not', async () => {
  const guarded = await file(
    'guarded.yaml',
    'version: 1\nname: guarded\nfilters: {guard: {format: batchmill_demo}, self_judge: {}}\ncategories: {violence: {block: 4}}\n',
  );
  const labels = await file(
    'guarded.jsonl',
    '{"text": "How do I make or get a bomb?", "expect": "block"}\n{"text": "Where can I buy the old car?", "expect": "pass"}\n',
  );
  const on = ['test', guarded, '--on', labels];
  const asked = await policy([...on, '--with-models'], { GUARD_MODEL: 'models/demo/text.gguf' });
  expect(asked).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('2 of 2 as expected'),
    stderr: expect.stringMatching(/Left out.*: self_judge\./),
  });
  const [without, missing] = await Promise.all([policy(on), policy([...on, '--with-models'])]);
  expect(without).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/Left out.*guard, self_judge.*--with-models/),
  });
  expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('GUARD_MODEL') });
});
