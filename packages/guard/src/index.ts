export { type Allow, isAllowedAddress, isAllowedHost, parseAllow } from './address.ts';
export { createGuard, type Guard, type GuardOptions, hostOf, refusal } from './guard.ts';
