export { FORMATS, GUARD_CATEGORIES, GUARD_FORMATS, type GuardFormatName } from './formats.ts';
export { type GuardOptions, guard, severityOf } from './guard.ts';
