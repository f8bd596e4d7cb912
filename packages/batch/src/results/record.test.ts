import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeRecords, encodeRecord, resultRecord } from './record.ts';

const usage = (input: number, cached: number, output: number, reasoning: number) => ({
  input_tokens: input,
  input_tokens_details: { cached_tokens: cached },
  output_tokens: output,
  output_tokens_details: { reasoning_tokens: reasoning },
  total_tokens: input + output,
});

test('records of any content come back as they went in', () => {
  const record = fc
    .tuple(
      fc.nat(),
      fc.string({ unit: 'binary' }),
      fc.jsonValue(),
      fc.constantFrom(200, 400, 500),
      fc.nat(99),
      fc.nat(99),
      fc.option(
        fc.dictionary(
          fc.stringMatching(/^[a-z][a-z0-9_]{0,39}$/),
          fc.record({ annotated: fc.nat(9), redacted: fc.nat(9), blocked: fc.nat(9) }, { noNullPrototype: true }),
          { noNullPrototype: true },
        ),
      ),
    )
    .map(([position, customId, body, status, input, output, findings]) =>
      resultRecord(
        position,
        {
          id: 'batch_req_1',
          custom_id: customId,
          response: { status_code: status, request_id: 'r', body },
          error: null,
        },
        usage(input, 1, output, 2),
        findings,
      ),
    );
  fc.assert(
    fc.property(fc.array(record), (records) => {
      expect(decodeRecords(Buffer.from(records.map(encodeRecord).join('')))).toEqual(records);
    }),
  );
});

test('only an answer goes to the output file', () => {
  const line = { id: 'x', custom_id: 'a', response: { status_code: 200, request_id: 'r', body: {} }, error: null };
  expect(resultRecord(0, line, null).ok).toBe(true);
  expect(resultRecord(0, { ...line, response: { ...line.response, status_code: 400 } }, null).ok).toBe(false);
  expect(resultRecord(0, { ...line, response: null, error: { code: 'c', message: 'm' } }, null).ok).toBe(false);
});

test('parts from before findings were counted are read', () => {
  expect(decodeRecords(Buffer.from('[7,1,3,1,2,0]\t{"id":"x"}\n'))).toEqual([
    { position: 7, ok: true, usage: usage(3, 1, 2, 0), findings: null, line: '{"id":"x"}' },
  ]);
});

test('a part that was cut is refused whole', () => {
  const whole = encodeRecord(
    resultRecord(1, { id: 'x', custom_id: 'a', response: null, error: { code: 'c', message: 'm' } }, null),
  );
  expect(() => decodeRecords(Buffer.from(whole.slice(0, -2)))).toThrow(/damaged/);
  expect(() => decodeRecords(Buffer.from('\n'))).toThrow();
});
