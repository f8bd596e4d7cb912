import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { scrub } from './logger.ts';

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

const KEY = `bm_live_${'a'.repeat(43)}`;

test.each([
  [`no key ${KEY}, sorry`, 'no key bm_live_[redacted], sorry'],
  ['connect redis://user:hunter2@host:1/0 failed', 'connect redis://user:[redacted]@host:1/0 failed'],
  ['postgres://:hunter2@[::1]/db', 'postgres://:[redacted]@[::1]/db'],
  ['got "Bearer abcdefgh12345678="', 'got "Bearer [redacted]"'],
  ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'whsec_[redacted]'],
  [
    'GET /x?X-Amz-Credential=AK%2F1&X-Amz-Signature=0f1e&y=1',
    'GET /x?X-Amz-Credential=[redacted]&X-Amz-Signature=[redacted]&y=1',
  ],
  ['AGE-SECRET-KEY-1QQPZRY9', 'AGE-SECRET-KEY-1[redacted]'],
])('what looks like a secret is blanked where it stands: %s', (line, shown) => {
  expect(scrub(line)).toBe(shown);
});

test('also in the message and in the words of an error; a line stays JSON', () => {
  const line = logged(
    `log.error({ err: new Error('at redis://:hunter2@h', { cause: new Error('${KEY}') }), a: { b: { token: 't' } } }, 'key ${KEY}');`,
  );
  expect(JSON.stringify(line)).not.toMatch(/hunter2|aaaa|"t"/);
  expect(line).toMatchObject({ msg: 'key bm_live_[redacted]', a: { b: { token: '[redacted]' } } });
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      JSON.parse(scrub(JSON.stringify(value)));
    }),
  );
});

test('what is no secret is left alone', () => {
  for (const text of ['http://127.0.0.1:8080/v1/files?a=b@c', 'key_0198f3c2a1b0', 'bearer of news', 's3://bucket/a:b'])
    expect(scrub(text)).toBe(text);
});
