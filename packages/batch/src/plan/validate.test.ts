import { expect, test } from 'vitest';
import { validateLine } from './validate.ts';

const ENDPOINT = '/v1/chat/completions';
const check = (bytes: Buffer | string | null) =>
  validateLine({ bytes: typeof bytes === 'string' ? Buffer.from(bytes) : bytes, number: 7 }, ENDPOINT, 100);
const line = (over: object) =>
  JSON.stringify({ custom_id: 'a', method: 'POST', url: ENDPOINT, body: { model: 'm' }, ...over });

test('a good line gives its id, body and model', () => {
  expect(check(line({}))).toEqual({ customId: 'a', body: { model: 'm' }, model: 'm' });
});

test('a body that makes no sense is not the planner’s concern', () => {
  expect(check(line({ body: { model: 3, messages: 'no' } }))).toMatchObject({ customId: 'a', model: null });
});

test.for<[string, Buffer | string | null, string, string | null]>([
  ['truncated JSON', '{"custom_id":"a"', 'invalid_json_line', null],
  ['an array', '[]', 'invalid_json_line', null],
  ['null', 'null', 'invalid_json_line', null],
  ['invalid UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'invalid_json_line', null],
  ['too long', null, 'line_too_long', null],
  ['no custom_id', line({ custom_id: undefined }), 'missing_required_parameter', 'custom_id'],
  ['an empty custom_id', line({ custom_id: '' }), 'invalid_custom_id', 'custom_id'],
  ['a number as custom_id', line({ custom_id: 5 }), 'invalid_custom_id', 'custom_id'],
  ['a long custom_id', line({ custom_id: 'x'.repeat(513) }), 'invalid_custom_id', 'custom_id'],
  ['GET', line({ method: 'GET' }), 'invalid_method', 'method'],
  ['another url', line({ url: '/v1/embeddings' }), 'url_mismatch', 'url'],
  ['no body', line({ body: undefined }), 'missing_required_parameter', 'body'],
  ['a list as body', line({ body: [] }), 'missing_required_parameter', 'body'],
])('%s is an error with its line number', ([, bytes, code, param]) => {
  expect(check(bytes)).toMatchObject({ code, param, line: 7 });
});
