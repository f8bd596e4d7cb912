export { AuditLog, type AuditQuery, pruneAudit, readAudit } from './log.ts';
export { listQuarantine, Quarantine, type QuarantineEntry, quarantineKeys, readQuarantine } from './quarantine.ts';
export { AuditRecord, type AuditScope, auditRecords, contentHash, unjudgedRecord } from './record.ts';
export { findingCounts } from './summary.ts';
