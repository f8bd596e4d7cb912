export * from './audit/index.ts';
// Guard models run on an engine, which the API does without: '@batchmill/safety/guard'.
export { createJudge, type Judge, mergeResults } from './judge.ts';
export { type LexiconOptions, lexicon, minors, WordSearch } from './lexicon/index.ts';
export { isJson, mask } from './mask.ts';
export { type ModerationsOptions, moderate, moderations } from './moderations/index.ts';
export { type PersonalDataOptions, personalData } from './personal-data/index.ts';
export { BUILT_IN, loadPolicies, type Policies } from './policies/folder.ts';
export { readPolicy, storePolicy } from './policies/store.ts';
export * from './policy/index.ts';
export * from './port.ts';
export { rules } from './rules/index.ts';
export { secrets } from './secrets/index.ts';
export { type SelfJudge, type SelfJudgeOptions, selfJudge } from './self-judge/index.ts';
export * from './taxonomy.ts';
