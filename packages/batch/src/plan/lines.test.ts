import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Line, splitLines } from './lines.ts';

async function* chunks(bytes: Buffer, cuts: number[]): AsyncGenerator<Uint8Array> {
  let start = 0;
  for (const cut of [...new Set(cuts)].sort((a, b) => a - b)) {
    if (cut <= start || cut >= bytes.length) continue;
    yield bytes.subarray(start, cut);
    start = cut;
  }
  yield bytes.subarray(start);
}

async function split(
  bytes: Buffer,
  cuts: number[] = [],
  most = 1_000,
): Promise<{ text: string | null; number: number }[]> {
  const lines: Line[] = [];
  for await (const some of splitLines(chunks(bytes, cuts), most)) lines.push(...some);
  return lines.map((l) => ({ text: l.bytes?.toString('utf8') ?? null, number: l.number }));
}

test('line breaks of both kinds, blank lines counted, no break at the end', async () => {
  expect(await split(Buffer.from('a\r\n\n  \nb c\nd'))).toEqual([
    { text: 'a', number: 1 },
    { text: 'b c', number: 4 },
    { text: 'd', number: 5 },
  ]);
});

test('a byte order mark is cut from the first line only', async () => {
  const bom = '\ufeff';
  expect(await split(Buffer.from(`${bom}{}\n${bom}{}`))).toEqual([
    { text: '{}', number: 1 },
    { text: `${bom}{}`, number: 2 },
  ]);
});

test('of a line that is too long nothing is kept, and the next one is whole', async () => {
  const long = 'x'.repeat(50);
  const bytes = Buffer.from(`ok\n${long}\nok\n${long}`);
  const expected = [
    { text: 'ok', number: 1 },
    { text: null, number: 2 },
    { text: 'ok', number: 3 },
    { text: null, number: 4 },
  ];
  expect(await split(bytes, [], 49)).toEqual(expected);
  expect(await split(bytes, [5, 20, 54, 60, 80], 49)).toEqual(expected);
  expect((await split(bytes, [5, 20], 50))[1]).toEqual({ text: long, number: 2 });
});

test('nothing gives no lines', async () => {
  expect(await split(Buffer.alloc(0))).toEqual([]);
});

test('how the stream is cut into chunks changes nothing', async () => {
  const line = fc.string({ unit: fc.constantFrom('a', 'ä', '€', '😀', ' ', '\t', '{', '"') });
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 20 }),
      fc.constantFrom('\n', '\r\n'),
      fc.array(fc.nat(200)),
      async (texts, eol, cuts) => {
        const expected = texts
          .map((text, i) => ({ text: text.replace(/^[ \t]+|[ \t]+$/g, ''), number: i + 1 }))
          .filter((l) => l.text !== '');
        expect(await split(Buffer.from(texts.join(eol)), cuts)).toEqual(expected);
      },
    ),
  );
});
