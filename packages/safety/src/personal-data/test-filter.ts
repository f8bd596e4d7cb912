/** What the tests of personal data share. */
import { createJudge } from '../judge.ts';
import { DEFAULT_POLICY } from '../policy/index.ts';
import type { FilterContext, JudgedSegment } from '../port.ts';
import { type PersonalDataOptions, personalData } from './personal-data.ts';

const context: FilterContext = {
  tenant: 'default',
  batchId: 'batch_1',
  customId: 'a',
  asked: [],
  selfVerdicts: [],
  signal: new AbortController().signal,
};

/** The text as a policy that redacts leaves it; `null` if there was nothing to redact. */
export async function redacted(text: string, options: PersonalDataOptions = {}): Promise<string | null> {
  const judged = await judgedBy('redact', text, { region: 'US', ...options });
  return judged.redacted ? judged.text : null;
}

export async function judgedBy(
  action: 'redact' | 'block',
  text: string,
  options: PersonalDataOptions,
): Promise<JudgedSegment> {
  const policy = { ...DEFAULT_POLICY, categories: { personal_data: { [action]: 1 } } };
  const [judged] = await createJudge(policy, [personalData(options)]).judge([{ id: 's', text }], context);
  if (judged === undefined) throw new Error('no judgement');
  return judged;
}
