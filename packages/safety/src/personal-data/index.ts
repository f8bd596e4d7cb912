export { type PersonalDataOptions, personalData } from './personal-data.ts';
export { KINDS as PERSONAL_DATA_KINDS, type Kind as PersonalDataKind } from './span.ts';
