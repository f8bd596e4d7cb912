import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Bucket, BucketUnavailableError, openBucket } from '@batchmill/bucket';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JudgedSegment } from '../port.ts';
import {
  AuditLog,
  type AuditRecord,
  auditRecords,
  contentHash,
  findingCounts,
  listQuarantine,
  pruneAudit,
  Quarantine,
  quarantineKeys,
  readAudit,
  readQuarantine,
  unjudgedRecord,
} from './index.ts';

let folder: string;
let bucket: Bucket;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-audit-'));
  bucket = await openBucket(pathToFileURL(folder).href);
});
afterEach(async () => {
  await bucket.close();
  await rm(folder, { recursive: true, force: true });
});

const SECRET = 'what must not be seen';
const scope = { tenant: 'acme', batch_id: 'batch_1', position: 3, custom_id: 'c', policy: 'p'.repeat(64) };
const finding = (action: 'annotate' | 'redact' | 'block', category = 'hate') => ({
  action,
  category,
  severity: 4,
  score: 0.9,
  label: 'hate',
  spans: [{ start: 0, end: 4 }],
  filter: 'guard',
  version: '1',
});
const judged = (more: Partial<JudgedSegment>): JudgedSegment => ({
  id: 'choices.0.content',
  text: '',
  blocked: false,
  redacted: false,
  results: {},
  findings: [],
  ...more,
});
const segments = [{ id: 'choices.0.content', text: SECRET }];
const withheld = [judged({ blocked: true, findings: [finding('block'), finding('annotate', 'unsafe')] })];

async function everything(): Promise<string> {
  let text = '';
  for await (const { key } of bucket.list(''))
    text += `${key}\n${Buffer.from((await bucket.get(key)) ?? []).toString('latin1')}\n`;
  return text;
}
async function all(query = {}): Promise<AuditRecord[]> {
  const records: AuditRecord[] = [];
  for await (const record of readAudit(bucket, query)) records.push(record);
  return records;
}

describe('the audit log', () => {
  it('has who, when, which policy and filter, and a hash; never the content', async () => {
    const records = auditRecords(scope, segments, withheld, null);
    await new AuditLog(bucket).write(records);
    expect(await all()).toEqual([
      {
        at: expect.stringMatching(/^\d{4}-/),
        ...scope,
        segment: 'choices.0.content',
        action: 'block',
        filter: 'guard',
        version: '1',
        category: 'hate',
        severity: 4,
        score: 0.9,
        label: 'hate',
        places: 1,
        content: contentHash(SECRET, null),
      },
    ]);
    expect(await everything()).not.toContain(SECRET);
    expect(contentHash(SECRET, 'key')).not.toBe(contentHash(SECRET, 'other key'));
  });

  it('is durable when `write` returns, many writers in one object', async () => {
    const log = new AuditLog(bucket);
    await Promise.all(
      Array.from({ length: 100 }, async (_, position) => {
        await log.write([unjudgedRecord({ ...scope, position }, 'guard')]);
        expect((await all()).some((record) => record.position === position)).toBe(true);
      }),
    );
    let objects = 0;
    for await (const _ of bucket.list('audit/')) objects++;
    expect(objects).toBeLessThan(10);
    expect(await all()).toHaveLength(100);
  });

  it('gives repeats of a crash once', async () => {
    for (let run = 0; run < 3; run++) await new AuditLog(bucket).write(auditRecords(scope, segments, withheld, null));
    expect(await all()).toHaveLength(1);
    expect(await all({ tenant: 'acme', batchId: 'batch_1' })).toHaveLength(1);
    expect(await all({ tenant: 'other' })).toEqual([]);
    expect(await all({ batchId: 'batch_2' })).toEqual([]);
    expect(await all({ to: '2000-01-01' })).toEqual([]);
    expect(await pruneAudit(bucket, '2000-01-01')).toBe(0);
    expect(await pruneAudit(bucket, '2999-01-01')).toBe(3);
    expect(await all()).toEqual([]);
  });

  it('says when it could not be written', async () => {
    const down = new Proxy(bucket, {
      get: (target, name) =>
        name === 'put' ? () => Promise.reject(new BucketUnavailableError('down')) : Reflect.get(target, name),
    });
    await expect(new AuditLog(down).write([unjudgedRecord(scope, 'guard')])).rejects.toThrow('down');
  });
});

describe('quarantine', () => {
  it('can be put into with the one key, and read with the other only', async () => {
    const { identity, recipient } = await quarantineKeys();
    const other = await quarantineKeys();
    const entry = { tenant: 'acme', batchId: 'batch_1', position: 3 };
    await new Quarantine(bucket, recipient).keep(
      entry,
      'c',
      [...segments, { id: 'fine', text: 'ok' }],
      [...withheld, judged({ id: 'fine', text: 'ok' })],
    );
    expect(await everything()).not.toContain(SECRET);
    expect(await readQuarantine(bucket, entry, identity)).toEqual({
      custom_id: 'c',
      segments: [{ id: 'choices.0.content', text: SECRET }],
    });
    await expect(readQuarantine(bucket, entry, other.identity)).rejects.toThrow();
    const listed = [];
    for await (const one of listQuarantine(bucket, 'acme')) listed.push(one);
    expect(listed).toEqual([entry]);
    expect(await readQuarantine(bucket, { ...entry, position: 4 }, identity)).toBeNull();
  });

  it('keeps nothing of what was let through', async () => {
    const { recipient } = await quarantineKeys();
    await new Quarantine(bucket, recipient).keep({ tenant: 'a', batchId: 'b', position: 0 }, 'c', segments, [
      judged({}),
    ]);
    expect(await everything()).toBe('');
  });
});

it('counts an item once for each category and action', () => {
  expect(findingCounts([judged({})])).toBeNull();
  expect(
    findingCounts([
      ...withheld,
      judged({ findings: [finding('redact'), finding('redact'), { ...finding('annotate'), severity: 0 }] }),
    ]),
  ).toEqual({
    hate: { annotated: 0, redacted: 1, blocked: 1 },
    unsafe: { annotated: 1, redacted: 0, blocked: 0 },
  });
});
