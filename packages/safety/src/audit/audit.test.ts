import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Bucket, BucketUnavailableError, openBucket } from '@batchmill/bucket';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JudgedSegment } from '../port.ts';
import {
  AuditLog,
  AuditRecord,
  auditRecords,
  contentHash,
  findingCounts,
  pruneAudit,
  readAudit,
  unjudgedRecord,
} from './index.ts';
import {
  IdentityError,
  identitiesOf,
  listQuarantine,
  pruneQuarantine,
  Quarantine,
  quarantineKeys,
  readQuarantine,
} from './quarantine.ts';

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
const scope = { tenant: 'acme', key: null, batch_id: 'batch_1', position: 3, custom_id: 'c', policy: 'p'.repeat(64) };
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
    for (let run = 0; run < 3; run++)
      await new AuditLog(bucket, { gatherMs: 2 }).write(auditRecords(scope, segments, withheld, null));
    expect(await all()).toHaveLength(1);
    expect(await all({ tenant: 'acme', batchId: 'batch_1' })).toHaveLength(1);
    expect(await all({ tenant: 'other' })).toEqual([]);
    expect(await all({ batchId: 'batch_2' })).toEqual([]);
    expect(await all({ to: '2000-01-01' })).toEqual([]);
    expect(await all({ from: '2999-01-01' })).toEqual([]);
    expect(await all({ tenant: 'acme', from: '2999-01-01' })).toEqual([]);
    const today = new Date().toISOString().slice(0, 10);
    expect(await all({ tenant: 'acme', from: '2020-01-01', to: '2999-01-01' })).toHaveLength(1);
    expect(await all({ tenant: 'acme', from: today })).toHaveLength(1);
    expect(await pruneAudit(bucket, '2000-01-01')).toBe(0);
    expect(await pruneAudit(bucket, '2999-01-01')).toBe(3);
    expect(await all()).toEqual([]);
  });

  it('keeps both answers of an item that was done again and got another one', async () => {
    const other = [{ id: 'choices.0.content', text: 'another answer' }];
    const log = new AuditLog(bucket);
    await log.write(auditRecords(scope, segments, withheld, null));
    await log.write(auditRecords(scope, other, withheld, null));
    expect((await all()).map(({ content }) => content)).toEqual([
      contentHash(SECRET, null),
      contentHash('another answer', null),
    ]);
  });

  it('folds repeats over midnight, and of one tenant only', async () => {
    const [record] = auditRecords(scope, segments, withheld, null);
    if (record === undefined) throw new Error('no record');
    const at = (day: string, tenant = 'acme') => ({ ...record, tenant, at: `${day}T12:00:00.000Z` });
    const days = ['2026-03-01', '2026-03-02', '2026-03-09', '2026-03-20'];
    for (const day of days) await new AuditLog(bucket, { gatherMs: 2 }).write([at(day), at(day, 'acme-b')]);
    // Later than any batch lives it cannot be a repeat.
    const seen = (await all()).map((one) => `${one.tenant} ${one.at.slice(0, 10)}`);
    expect(seen).toEqual(['acme-b 2026-03-01', 'acme-b 2026-03-20', 'acme 2026-03-01', 'acme 2026-03-20']);
    expect(await all({ from: '2026-03-02', to: '2026-03-09' })).toEqual([at('2026-03-02', 'acme-b'), at('2026-03-02')]);
  });

  it('gives back any records, each once, whatever they are made of', async () => {
    const record = fc.record({
      tenant: fc.constantFrom('a', 'a-b', 'b'),
      at: fc.constantFrom('2026-01-01T00:00:00.000Z', '2026-01-02T23:59:59.999Z'),
      position: fc.nat(3),
      custom_id: fc.string({ unit: 'binary', maxLength: 5 }),
      action: fc.constantFrom('redact' as const, 'block' as const),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 30 }), async (some) => {
        await pruneAudit(bucket, '2999-01-01');
        const records = some.map((one) => AuditRecord.parse({ ...unjudgedRecord(scope, 'f'), ...one }));
        const log = new AuditLog(bucket, { gatherMs: 2 });
        await Promise.all(records.map((one) => log.write([one])));
        const key = ({ at: _, ...rest }: AuditRecord) => JSON.stringify(rest);
        expect((await all()).map(key).sort()).toEqual([...new Set(records.map(key))].sort());
      }),
      { numRuns: 10 },
    );
  });

  it('waits while the bucket is away for a moment, and says when it stays away', async () => {
    await rename(folder, `${folder}-away`);
    const patient = new AuditLog(bucket, { pausesMs: [100, 100, 100, 100, 100, 100, 100, 100] });
    const written = patient.write([unjudgedRecord(scope, 'guard')]);
    const hasty = new AuditLog(bucket, { pausesMs: [] }).write([unjudgedRecord({ ...scope, position: 4 }, 'guard')]);
    await expect(hasty).rejects.toThrow(BucketUnavailableError);
    await rename(`${folder}-away`, folder);
    await written;
    expect((await all()).map(({ position }) => position)).toEqual([3]);
  });

  it('loses nothing it has confirmed when the process is killed', async () => {
    const code = `
      const { openBucket } = await import(${JSON.stringify(import.meta.resolve('@batchmill/bucket'))});
      const { AuditLog, unjudgedRecord } = await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)});
      const log = new AuditLog(await openBucket(process.argv[1]));
      const scope = { tenant: 'acme', key: null, batch_id: 'b', custom_id: 'c', policy: 'p' };
      for (let position = 0; ; position++) {
        const at = position;
        void log.write([unjudgedRecord({ ...scope, position: at }, 'f')]).then(() => console.log(at));
        await new Promise((wait) => setTimeout(wait, 1));
      }`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code, pathToFileURL(folder).href], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const confirmed: number[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      confirmed.push(Number(line));
      if (confirmed.length === 150) child.kill('SIGKILL');
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    const there = new Set((await all()).map(({ position }) => position));
    expect(confirmed.length).toBeGreaterThanOrEqual(150);
    expect(confirmed.filter((position) => !there.has(position))).toEqual([]);
  });

  it('refuses a damaged object by name', async () => {
    await new AuditLog(bucket).write(auditRecords(scope, segments, withheld, null));
    for await (const { key } of bucket.list('audit/')) {
      await bucket.put(key, '{"at":');
      await expect(all()).rejects.toThrow(key);
    }
  });

  it('counts places, and hides what is masked from guesses', () => {
    const redacted = judged({
      text: 'Call [phone] or [phone]',
      redacted: true,
      // The second look, after something was masked.
      findings: [finding('redact'), { ...finding('redact'), score: 1 }, finding('redact', 'other')],
    });
    const original = [{ id: 'choices.0.content', text: 'Call 0301234567 or 0301234568' }];
    const records = auditRecords(scope, original, [redacted], null);
    expect(records.map(({ category, places, score }) => [category, places, score])).toEqual([
      ['hate', 2, 1],
      ['other', 1, 0.9],
    ]);
    for (const { content } of records) expect(content).toBe(`delivered-${contentHash(redacted.text, null)}`);
    const [keyed] = auditRecords(scope, original, [redacted], 'a key of the operator');
    expect(keyed?.content).toBe(contentHash(original[0]?.text ?? '', 'a key of the operator'));
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
    const content = { custom_id: 'c', segments: [{ id: 'choices.0.content', text: SECRET }] };
    expect(await readQuarantine(bucket, entry, [identity])).toEqual([content]);
    expect(await readQuarantine(bucket, entry, [other.identity, identity])).toEqual([content]);
    await expect(readQuarantine(bucket, entry, [other.identity])).rejects.toThrow(IdentityError);
    await expect(readQuarantine(bucket, entry, ['AGE-SECRET-KEY-1QQ'])).rejects.toThrow(IdentityError);
    const listed = [];
    for await (const one of listQuarantine(bucket, 'acme')) listed.push(one);
    expect(listed).toEqual([entry]);
    expect(await readQuarantine(bucket, { ...entry, position: 4 }, [identity])).toEqual([]);
    // Begins alike.
    expect(await readQuarantine(bucket, { ...entry, batchId: 'batch_' }, [identity])).toEqual([]);
  });

  it('replaces nothing when an item is done again, and is emptied by the day', async () => {
    const { identity, recipient } = await quarantineKeys();
    const entry = { tenant: 'acme', batchId: 'batch_1', position: 3 };
    for (const text of ['first', 'second']) {
      await new Quarantine(bucket, recipient).keep(entry, 'c', [{ id: 'choices.0.content', text }], withheld);
      await new Promise((wait) => setTimeout(wait, 5));
    }
    const texts = (await readQuarantine(bucket, entry, [identity])).map(({ segments: [one] }) => one?.text);
    expect(texts).toEqual(['first', 'second']);
    const listed = [];
    for await (const one of listQuarantine(bucket)) listed.push(one);
    expect(listed).toEqual([entry]);
    expect(await pruneQuarantine(bucket, '2000-01-01')).toBe(0);
    expect(await pruneQuarantine(bucket, '2999-01-01')).toBe(2);
    expect(await readQuarantine(bucket, entry, [identity])).toEqual([]);
  });

  it('keeps all of a choice of which one text is blocked, and nothing of the others', async () => {
    const { identity, recipient } = await quarantineKeys();
    const entry = { tenant: 'acme', batchId: 'batch_1', position: 0 };
    const ids = ['choices.0.reasoning', 'choices.0.content', 'choices.1.content', 'pages.1.markdown'];
    await new Quarantine(bucket, recipient).keep(
      entry,
      'c',
      ids.map((id) => ({ id, text: id })),
      ids.map((id) => judged({ id, blocked: id === 'choices.0.content' })),
    );
    const [content] = await readQuarantine(bucket, entry, [identity]);
    expect(content?.segments.map(({ id }) => id)).toEqual(['choices.0.reasoning', 'choices.0.content']);
  });

  it('reads identities as age-keygen writes them, and knows a wrong key at once', async () => {
    const { identity, recipient } = await quarantineKeys();
    expect(identitiesOf(`# created: now\r\n# public key: ${recipient}\r\n${identity}\r\n\n`)).toEqual([identity]);
    expect(() => identitiesOf('# nothing\n')).toThrow(IdentityError);
    expect(() => new Quarantine(bucket, `${recipient.slice(0, -1)}q`)).toThrow(/QUARANTINE_RECIPIENT/);
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
