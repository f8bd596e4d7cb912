import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

/** What a process that logs this writes to standard error. */
function logged(statement: string): Record<string, unknown> {
  const url = new URL('./logger.ts', import.meta.url).href;
  const script = `import { createLogger } from ${JSON.stringify(url)}; const log = createLogger('test'); ${statement}`;
  const command = ['--input-type=module', '-e', script];
  const output = execFileSync('/bin/sh', ['-c', '"$0" "$@" 2>&1 >/dev/null', process.execPath, ...command], {
    env: { ...process.env, LOG_LEVEL: 'info' },
    encoding: 'utf8',
  });
  return JSON.parse(output);
}

test('of an error its name, code, message, stack and causes are logged, and nothing that hangs on it', () => {
  const { err } = logged(
    `const e = Object.assign(new TypeError('no', { cause: new Error('why') }), { code: 'E1', client: { password: 'hunter2' } });
     log.error({ err: e }, 'failed');`,
  );
  expect(err).toEqual({
    type: 'TypeError',
    code: 'E1',
    message: 'no',
    stack: expect.stringContaining('TypeError: no'),
    cause: { type: 'Error', message: 'why', stack: expect.any(String) },
  });
});

test('fields named like secrets are not shown', () => {
  const line = logged(`log.info({ apiKey: 'a', request: { authorization: 'Bearer b' }, batch: 'c' }, 'hello');`);
  expect(line).toMatchObject({
    apiKey: '[redacted]',
    request: { authorization: '[redacted]' },
    batch: 'c',
    msg: 'hello',
  });
});
