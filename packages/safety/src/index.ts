export { createJudge, type Judge, mergeResults } from './judge.ts';
export { lexicon, minors } from './lexicon/index.ts';
export { isJson, mask } from './mask.ts';
export { personalData } from './personal-data/index.ts';
export { BUILT_IN, loadPolicies, type Policies } from './policies/folder.ts';
export { readPolicy, storePolicy } from './policies/store.ts';
export * from './policy/index.ts';
export * from './port.ts';
export * from './taxonomy.ts';
