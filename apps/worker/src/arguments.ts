import { parseArgs } from 'node:util';
import { ConfigError } from '@batchmill/config';
import { LANES, type Lane } from '@batchmill/queue';
import { ROLES, type Role } from './worker.ts';

export interface Arguments {
  roles: readonly Role[];
  lanes: readonly Lane[];
  /** Milliseconds without work after which the process ends; `null`: never. */
  exitWhenIdleMs: number | null;
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

/**
 * Reads the worker's command line.
 * @throws ConfigError that names the option and what it must be
 */
export function readArguments(args: readonly string[]): Arguments {
  const options = {
    roles: { type: 'string', default: 'control,infer' },
    lanes: { type: 'string' },
    'exit-when-idle': { type: 'string' },
  } as const;
  let values: { roles: string; lanes?: string | undefined; 'exit-when-idle'?: string | undefined };
  try {
    values = parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error));
  }
  const roles = listOf('--roles', values.roles, ROLES);
  const infers = roles.includes('infer');
  if (values.lanes !== undefined && !infers) throw new ConfigError('--lanes is for workers of the role infer');
  const idle = values['exit-when-idle'];
  if (idle !== undefined && (!infers || roles.length > 1))
    throw new ConfigError('--exit-when-idle is for workers of the role infer alone: somebody must look after batches');
  return {
    roles,
    lanes: values.lanes === undefined ? LANES : listOf('--lanes', values.lanes, LANES),
    exitWhenIdleMs: idle === undefined ? null : duration('--exit-when-idle', idle),
  };
}

function listOf<T extends string>(option: string, value: string, known: readonly T[]): T[] {
  const names = value.split(',').map((name) => {
    const found = known.find((k) => k === name.trim());
    if (found === undefined) throw new ConfigError(`${option}: '${name.trim()}' is none of ${known.join(', ')}`);
    return found;
  });
  return [...new Set(names)];
}

/** `90`, `90s`, `5m`, `1h` in milliseconds. */
function duration(option: string, value: string): number {
  const match = /^(\d{1,6})([smh]?)$/.exec(value);
  const ms = Number(match?.[1] ?? 0) * (UNITS[match?.[2] || 's'] ?? 0);
  if (ms === 0) throw new ConfigError(`${option}: '${value}' is no time; write 120s, 5m or 1h`);
  return ms;
}
