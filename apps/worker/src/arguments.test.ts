import { ConfigError } from '@batchmill/config';
import { describe, expect, it } from 'vitest';
import { readArguments } from './arguments.ts';

describe('arguments of a worker', () => {
  it('are both roles and both lanes for ever, if nothing is said', () => {
    expect(readArguments([])).toEqual({ roles: ['control', 'infer'], lanes: ['text', 'media'], exitWhenIdleMs: null });
  });

  it.each([
    ['120s', 120_000],
    ['90', 90_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
  ])('end a worker that is idle for %s', (time, ms) => {
    const args = readArguments(['--roles', 'infer', '--lanes', 'media', '--exit-when-idle', time]);
    expect(args).toEqual({ roles: ['infer'], lanes: ['media'], exitWhenIdleMs: ms });
  });

  it.each([
    [['--roles', 'boss'], "--roles: 'boss' is none of control, infer"],
    [['--lanes', 'text,video'], "--lanes: 'video' is none of text, media"],
    [['--roles', 'control', '--lanes', 'text'], '--lanes is for workers of the role infer'],
    [['--exit-when-idle', '60s'], '--exit-when-idle is for workers of the role infer alone'],
    [['--roles', 'infer', '--exit-when-idle', 'soon'], "--exit-when-idle: 'soon' is no time"],
    [['--roles', 'infer', '--exit-when-idle', '0'], "--exit-when-idle: '0' is no time"],
    [['--role', 'infer'], '--role'],
  ])('%j is refused in words', (args, message) => {
    expect(() => readArguments(args)).toThrow(ConfigError);
    expect(() => readArguments(args)).toThrow(message);
  });
});
