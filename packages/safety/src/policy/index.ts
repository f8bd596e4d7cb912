export { actionFor } from './action.ts';
export { policyHash } from './canonical.ts';
export { DEFAULT_POLICY } from './default.ts';
export { localFilters } from './filters-of.ts';
export { categoriesOf } from './looks-for.ts';
export { PolicyError } from './policy-error.ts';
export { Policy } from './schema.ts';
export { strictest } from './strictest.ts';
