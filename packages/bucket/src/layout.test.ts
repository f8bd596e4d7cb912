import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isKey } from './keys.ts';
import {
  idOfIndexKey,
  layout,
  type PartName,
  parseDue,
  parseEnded,
  parseHeld,
  parseKept,
  parsePart,
  parsePieces,
  parseQuarantined,
} from './layout.ts';

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const idOf = (kind: string, at: number, random: string) => `${kind}${at.toString(16).padStart(12, '0')}${random}`;
const tenant = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,30}$/);
const begun = fc.option(fc.record({ items: fc.nat(), units: fc.nat() }), { nil: undefined });
const part: fc.Arbitrary<PartName> = fc
  .record({
    shard: fc.integer({ min: 0, max: 99_999_999 }),
    at: time,
    writer: fc.stringMatching(/^[a-z0-9]{1,32}$/),
    sequence: fc.integer({ min: 0, max: 999_999 }),
    completed: fc.nat(),
    failed: fc.nat(),
    units: fc.nat(),
    begun,
    last: fc.boolean(),
  })
  .map(({ begun: of, ...name }) => (of === undefined ? name : { ...name, begun: of }));

test('the name of a part says what it was made from', () => {
  fc.assert(
    fc.property(tenant, time, hex(20), part, (who, at, random, name) => {
      const id = idOf('batch_', at, random);
      const key = layout.batch.part(who, id, name);
      expect(isKey(key)).toBe(true);
      expect(parsePart(key)).toEqual(name);
      expect(key.startsWith(layout.batch.partsOfShard(who, id, name.shard))).toBe(true);
      expect(key.startsWith(layout.batch.parts(who, id))).toBe(true);
      const { completed, failed, last, ...pieces } = name;
      const piecesKey = layout.batch.piecesPart(who, id, pieces);
      expect(isKey(piecesKey)).toBe(true);
      expect(parsePieces(piecesKey)).toEqual(pieces);
      expect(parsePart(piecesKey)).toBeNull();
      expect(parsePieces(key)).toBeNull();
      expect(piecesKey.startsWith(layout.batch.piecesOfShard(who, id, name.shard))).toBe(true);
    }),
  );
});

test('parts sort by shard, then by age', () => {
  fc.assert(
    fc.property(part, part, (a, b) => {
      const [first, second] = [a, b].map((name) => layout.batch.part('t', 'batch_x', name));
      const byHand = a.shard - b.shard || a.at - b.at;
      if (byHand !== 0 && first !== undefined && second !== undefined) expect(first < second).toBe(byHand < 0);
    }),
  );
});

test('the name of something in quarantine says what it was made from', () => {
  const stamp = fc.record({
    at: time,
    writer: fc.stringMatching(/^[a-z0-9]{1,32}$/),
    sequence: fc.integer({ min: 0, max: 999_999 }),
  });
  fc.assert(
    fc.property(tenant, time, hex(20), fc.nat(99_999_999), stamp, (who, created, random, position, name) => {
      const batch = idOf('batch_', created, random);
      const key = layout.quarantine.item(who, batch, position, name);
      expect(isKey(key)).toBe(true);
      expect(parseQuarantined(key)).toEqual({ tenant: who, batch, position, ...name });
      expect(key.startsWith(layout.quarantine.ofItem(who, batch, position))).toBe(true);
      expect(key.startsWith(layout.quarantine.ofTenant(who))).toBe(true);
      expect(parseQuarantined(layout.audit.part(who, '2026-11-25', name.at, name.writer, name.sequence))).toBeNull();
    }),
  );
});

test('what is no part is not taken for one', () => {
  const good = layout.batch.part('t', 'batch_x', {
    shard: 1,
    at: 2,
    writer: 'w',
    sequence: 3,
    completed: 4,
    failed: 5,
    units: 6,
    last: true,
  });
  expect(parsePart(good)).not.toBeNull();
  for (const key of [
    `${good}.gz`,
    good.replace('/results/', '/shards/'),
    good.replace('-w-', '-W-'),
    good.replace('.c4', ''),
    '',
  ]) {
    expect(parsePart(key)).toBeNull();
  }
});

test('index keys sort newest first and give the id back', () => {
  const kinds = [
    ['file-', layout.file.index],
    ['batch_', layout.batch.index],
  ] as const;
  for (const [kind, index] of kinds) {
    fc.assert(
      fc.property(tenant, time, time, hex(20), (who, a, b, random) => {
        const [x, y] = [idOf(kind, a, random), idOf(kind, b, random)];
        expect(idOfIndexKey(index(who, x))).toBe(x);
        expect(isKey(index(who, x))).toBe(true);
        if (a !== b) expect(index(who, x) < index(who, y)).toBe(a > b);
      }),
    );
  }
  expect(() => layout.file.index('t', 'file-short')).toThrow('not an id');
  expect(idOfIndexKey('index/files/t/other')).toBe('');
});

test('what a batch holds is read back from the name', () => {
  fc.assert(
    fc.property(tenant, time, hex(20), fc.option(hex(20)), fc.nat(), fc.nat(), (who, at, random, key, items, bytes) => {
      const id = idOf('batch_', at, random);
      const holder = key === null ? null : idOf('key_', at, key);
      const input = idOf('file-', at, random);
      const held = layout.batch.held(who, holder, id, { items, bytes, input });
      expect(isKey(held)).toBe(true);
      expect(held.startsWith(layout.batch.heldOfKey(who, holder))).toBe(true);
      expect(parseHeld(held)).toEqual({ tenant: who, key: holder, id, items, bytes, input });
    }),
  );
  for (const wrong of ['', 'index/held/t/-/batch_1.i1.b1', 'index/held/t/-/x']) expect(parseHeld(wrong)).toBeNull();
});

test('what expires sorts by time', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 999_999_999_999 }), fc.integer({ min: 0, max: 999_999_999_999 }), (a, b) => {
      const [first, second] = [layout.file.expires(a, 't', 'x'), layout.file.expires(b, 't', 'x')];
      if (a !== b) expect(first < second).toBe(a < b);
      expect(first.startsWith(layout.file.expiresPrefix)).toBe(true);
    }),
  );
});

test('keys of due deliveries and of what is kept for a while are read back', () => {
  fc.assert(
    fc.property(tenant, time, hex(20), hex(13), fc.nat(99_999), (who, at, random, order, day) => {
      const [endpoint, delivery] = [idOf('we_', at, random), idOf('dlv_', at, random)];
      const lane = idOf('batch_', at, random);
      const due = layout.hook.due(who, endpoint, lane, order, delivery);
      expect(parseDue(due)).toEqual({ tenant: who, endpoint, lane, delivery });
      const kept = layout.hook.kept(day, who, 'delivery', delivery, endpoint);
      expect(parseKept(kept)).toEqual({ day, tenant: who, what: 'delivery', of: endpoint, id: delivery });
      for (const key of [due, kept, layout.hook.attempt(who, endpoint, delivery, 7)]) expect(isKey(key)).toBe(true);
      expect(layout.hook.settled(who, endpoint, delivery) > layout.hook.attempt(who, endpoint, delivery, 99)).toBe(
        true,
      );
    }),
  );
  for (const wrong of ['', 'index/hooks/due/t/e/l/x', 'index/hooks/kept/1/t/event/a/b', 'index/hooks/due/t/e/1-dlv_'])
    expect([parseDue(wrong), parseKept(wrong)]).toEqual([null, null]);
});

test('entries of ended batches are read back, and sort by time', () => {
  const seconds = fc.integer({ min: 0, max: 999_999_999_999 });
  fc.assert(
    fc.property(tenant, time, hex(20), seconds, seconds, (who, at, random, a, b) => {
      const id = idOf('batch_', at, random);
      const [first, second] = [layout.batch.ended(a, who, id), layout.batch.ended(b, who, id)];
      expect(isKey(first)).toBe(true);
      expect(parseEnded(first)).toEqual({ seconds: a, tenant: who, id });
      if (a !== b) expect(first < second).toBe(a < b);
    }),
  );
  for (const wrong of ['', 'index/ended/1/t/x', 'index/open/x/t']) expect(parseEnded(wrong)).toBeNull();
});
