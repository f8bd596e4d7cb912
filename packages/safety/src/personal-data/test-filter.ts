/** What the tests of personal data share. */
import type { ContentFilterResults } from '@batchmill/contract';
import { type PersonalDataOptions, personalData } from './personal-data.ts';

const context = { tenant: 'default', batchId: 'batch_1', customId: 'a', signal: new AbortController().signal };

/** The text after the filter; `null` if it found nothing. */
export async function redacted(text: string, options: Partial<PersonalDataOptions> = {}): Promise<string | null> {
  const verdict = await personalData({ mode: 'redact', phoneRegion: 'US', ...options }).inspect(
    { id: 's', text },
    context,
  );
  return verdict.action === 'redact' ? verdict.text : null;
}

export async function verdictOf(
  text: string,
  options: PersonalDataOptions,
): Promise<{ action: string; results: ContentFilterResults }> {
  return personalData(options).inspect({ id: 's', text }, context);
}
