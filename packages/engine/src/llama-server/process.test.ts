import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ServerProcess } from './process.ts';

/** A dead process may wait for init to take note of it, in some containers for ever. */
function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !existsSync('/proc/self') || !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function gone(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 50 && alive(pid); tries += 1) await sleep(50);
  return !alive(pid);
}

const shell = (script: string) => ServerProcess.start('/bin/sh', ['-c', script], '/nowhere');

test('ends with its parent, even when that is killed with SIGKILL', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'process-'));
  const module = new URL('process.ts', import.meta.url).href;
  const script = `
    const { ServerProcess } = await import(${JSON.stringify(module)});
    const server = await ServerProcess.start('/bin/sleep', ['300'], ${JSON.stringify(folder)});
    console.log(server.pid);
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line]: unknown[] = await once(parent.stdout, 'data');
  const pid = Number(String(line));
  expect(alive(pid)).toBe(true);
  parent.kill('SIGKILL');
  expect(await gone(pid)).toBe(true);
  await expect.poll(() => existsSync(folder)).toBe(false);
});

test('how it ended, and its last words', async () => {
  const ended = await (await shell('echo one; echo two >&2; sleep 0.1; exit 3')).ended;
  expect(ended).toMatchObject({ code: 3, signal: null });
  expect(ended.stderr.split('\n').sort()).toEqual(['one', 'two']);
  const killed = await shell('kill -SEGV $$');
  expect(await killed.ended).toMatchObject({ code: null, signal: 'SIGSEGV' });
});

test('of much that it writes only the end is kept', async () => {
  const { stderr } = await (await shell('seq 1 100000; echo last')).ended;
  expect(stderr.length).toBeLessThanOrEqual(8_000);
  expect(stderr.endsWith('100000\nlast')).toBe(true);
});

test('its process id is the program itself', async () => {
  const server = await shell('echo pid $$; exec sleep 300');
  await sleep(100);
  expect(server.tail).toBe(`pid ${server.pid}`);
  await server.stop();
  expect(await server.ended).toMatchObject({ signal: 'SIGTERM' });
});

test('one that does not end when asked to is killed', async () => {
  const server = await shell('trap "" TERM; while :; do sleep 0.2; done');
  await sleep(100);
  await Promise.all([server.stop(), server.stop()]);
  expect(await server.ended).toMatchObject({ signal: 'SIGKILL' });
}, 15_000);

test('secrets are not passed on', async () => {
  process.env.BUCKET_SECRET = 'hunter2';
  process.env.LLAMA_API_KEY = 'hunter3';
  process.env.LLAMA_ARG_FLASH_ATTN = 'on';
  const { stderr } = await (await shell('env')).ended;
  expect(stderr).not.toContain('hunter');
  expect(stderr).toContain('LLAMA_ARG_FLASH_ATTN=on');
  expect(stderr).toMatch(/^PATH=/m);
});
