export { AuditLog, type AuditLogOptions } from './log.ts';
export { type AuditQuery, pruneAudit, readAudit } from './read.ts';
export { AuditRecord, type AuditScope, auditRecords, contentHash, unjudgedRecord } from './record.ts';
export { findingCounts } from './summary.ts';
