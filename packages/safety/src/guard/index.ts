export { FORMATS, GUARD_FORMATS, type GuardFormatName, guardCategories } from './formats.ts';
export { type GuardOptions, guard } from './guard.ts';
export { bandOf } from './judge.ts';
export { type GuardModelOptions, startGuard } from './start.ts';
