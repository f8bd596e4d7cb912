/** What the tests of tasks judge answers by: nothing, or personal data taken out, or withheld. */
import { createJudge, DEFAULT_POLICY, type FilterContext, type Judge } from '@batchmill/safety';
import { personalData } from '@batchmill/safety/personal-data';

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
