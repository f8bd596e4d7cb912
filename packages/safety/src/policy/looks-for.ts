import { guardCategories } from '../guard/formats.ts';
import { MODERATION_CATEGORIES } from '../moderations/categories.ts';
import { type Category, SEXUAL_MINORS } from '../taxonomy.ts';
import type { Filters } from './schema.ts';

/** The categories that the filters of a policy look for. */
export function categoriesOf(filters: Filters): Set<Category> {
  const found = new Set<Category>([SEXUAL_MINORS]);
  const add = (categories: Iterable<Category>) => {
    for (const category of categories) found.add(category);
  };
  if (filters.personal_data) add(['personal_data']);
  if (filters.secrets) add(['secrets']);
  if (filters.lexicon) {
    if (filters.lexicon.lists.length > 0) add(['profanity']);
    add(Object.keys(filters.lexicon.words));
  }
  for (const { format } of filters.guard ?? []) add(guardCategories(format));
  if (filters.self_judge) add(['unsafe']);
  if (filters.moderations) add(MODERATION_CATEGORIES);
  for (const { category } of filters.rules ?? []) add([category]);
  return found;
}
