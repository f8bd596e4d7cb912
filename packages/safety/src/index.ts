export { createFilters, type FilterOptions, type Filters, mergeResults } from './filters.ts';
export * from './port.ts';
