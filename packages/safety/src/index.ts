// What everybody needs who has to do with policies. Filters bring libraries with them, so each is an entry of its own:
// '@batchmill/safety/lexicon' and so on; '@batchmill/safety/policy-file' reads the files.
export * from './audit/index.ts';
export { FORMATS, GUARD_FORMATS, type GuardFormatName, guardCategories } from './guard/formats.ts';
export type { GuardFormat, GuardQuestion, PromptPart } from './guard/port.ts';
export { createJudge, type Judge, mergeResults } from './judge.ts';
export { isJson, mask } from './mask.ts';
export { moderate } from './moderations/moderate.ts';
export { BUILT_IN, loadPolicies, type Policies } from './policies/folder.ts';
export { readPolicy, storePolicy } from './policies/store.ts';
export * from './policy/index.ts';
export * from './port.ts';
export { type SelfJudge, type SelfJudgeOptions, selfJudge } from './self-judge/index.ts';
export * from './taxonomy.ts';
export { windowsOf } from './windows.ts';
