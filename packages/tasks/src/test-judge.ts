/** What the tests of tasks judge answers by: nothing, or personal data taken out, or withheld. */
import { createJudge, DEFAULT_POLICY, type FilterContext, type Judge, personalData } from '@batchmill/safety';

const judge = (action: 'redact' | 'block'): Judge =>
  createJudge({ ...DEFAULT_POLICY, categories: { personal_data: { [action]: 1 } } }, [personalData({ region: 'US' })]);

export const judges = {
  none: createJudge(DEFAULT_POLICY, []),
  redact: judge('redact'),
  block: judge('block'),
};

export const judgeContext = (signal: AbortSignal = new AbortController().signal): FilterContext => ({
  tenant: 'default',
  batchId: 'batch_1',
  customId: 'a',
  asked: [],
  selfVerdicts: [],
  signal,
});
