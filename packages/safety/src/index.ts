export { createFilters, type FilterOptions, type Filters, mergeResults } from './filters.ts';
export { type PersonalDataOptions, personalData } from './personal-data/personal-data.ts';
export { KINDS as PERSONAL_DATA_KINDS, type Kind as PersonalDataKind } from './personal-data/span.ts';
export * from './port.ts';
