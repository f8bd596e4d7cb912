export { DEFAULT_QUESTION, type SelfJudge, type SelfJudgeOptions, selfJudge } from './self-judge.ts';
