import type { Filter } from '../port.ts';
import type { Policy } from './schema.ts';

/** The filters of a policy that compute by themselves, and the one that every policy has. What other policies want is not loaded. */
export async function localFilters({ filters }: Policy): Promise<Filter[]> {
  const { lexicon, minors, WordSearch } = await import('../lexicon/index.ts');
  const search = new WordSearch();
  const found: Filter[] = [minors(search)];
  if (filters.personal_data) {
    const { personalData } = await import('../personal-data/index.ts');
    found.push(personalData(filters.personal_data));
  }
  if (filters.secrets) {
    const { secrets } = await import('../secrets/index.ts');
    found.push(secrets());
  }
  if (filters.lexicon) found.push(lexicon(filters.lexicon, search));
  if (filters.rules && filters.rules.length > 0) {
    const { rules } = await import('../rules/index.ts');
    found.push(rules(filters.rules));
  }
  return found;
}
