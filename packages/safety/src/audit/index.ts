export { AuditLog, type AuditLogOptions } from './log.ts';
export {
  IdentityError,
  identitiesOf,
  listQuarantine,
  pruneQuarantine,
  Quarantine,
  type QuarantineEntry,
  quarantineKeys,
  readQuarantine,
  type Withheld,
} from './quarantine.ts';
export { type AuditQuery, pruneAudit, readAudit } from './read.ts';
export { AuditRecord, type AuditScope, auditRecords, contentHash, unjudgedRecord } from './record.ts';
export { findingCounts } from './summary.ts';
