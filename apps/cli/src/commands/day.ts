import { CommandError } from '../errors.ts';

/** @throws CommandError unless it is a day like 2026-11-25. */
export function checkDay(day: string): void {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day) || Number.isNaN(Date.parse(day)))
    throw new CommandError(`'${day}' is no day. Write it like 2026-11-25.`);
}
