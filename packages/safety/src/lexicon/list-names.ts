/**
 * Built-in lists of swear words. English: the dataset of `obscenity` (https://github.com/jo3-l/obscenity), with what is made of
 * its words; the others: the
 * List of Dirty, Naughty, Obscene and Otherwise Bad Words (https://github.com/LDNOOBW, CC BY 4.0).
 */
export const LISTS = [
  'profanity_ar',
  'profanity_cs',
  'profanity_da',
  'profanity_de',
  'profanity_en',
  'profanity_es',
  'profanity_fi',
  'profanity_fr',
  'profanity_hi',
  'profanity_hu',
  'profanity_it',
  'profanity_nl',
  'profanity_no',
  'profanity_pl',
  'profanity_pt',
  'profanity_ru',
  'profanity_sv',
  'profanity_tr',
] as const;
export type ListName = (typeof LISTS)[number];
