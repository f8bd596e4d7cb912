import { lexicon, minors, WordSearch } from '../lexicon/index.ts';
import { personalData } from '../personal-data/index.ts';
import type { Filter } from '../port.ts';
import { rules } from '../rules/index.ts';
import { secrets } from '../secrets/index.ts';
import type { Policy } from './schema.ts';

/** The filters of a policy that compute by themselves, and the one that every policy has. */
export function localFilters({ filters }: Policy): Filter[] {
  const search = new WordSearch();
  const found: Filter[] = [minors(search)];
  if (filters.personal_data) found.push(personalData(filters.personal_data));
  if (filters.secrets) found.push(secrets());
  if (filters.lexicon) found.push(lexicon(filters.lexicon, search));
  if (filters.rules && filters.rules.length > 0) found.push(rules(filters.rules));
  return found;
}
