import { Policy } from './schema.ts';

/** Where nobody wrote a policy: nothing but what is looked for under every policy. */
export const DEFAULT_POLICY: Policy = Policy.parse({ version: 1, name: 'built-in' });
