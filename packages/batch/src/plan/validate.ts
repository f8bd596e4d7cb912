import { isUtf8 } from 'node:buffer';
import type { BatchError } from '@batchmill/contract';
import type { Line } from './lines.ts';

/** What the planner needs of a good line. */
export interface PlannedLine {
  customId: string;
  body: Record<string, unknown>;
  model: string | null;
}

/**
 * Checks the envelope of one line: JSON, `custom_id`, `method`, `url`, `body`. What is inside the body is not looked at:
 * a wrong body is that item's own error later. Returns the error with the line's number instead of throwing, since a
 * file may have many. Checked by hand rather than by zod because every byte of every batch passes here.
 */
export function validateLine(line: Line, endpoint: string, maxLineBytes: number): PlannedLine | BatchError {
  const error = (code: string, message: string, param: string | null = null): BatchError => ({
    code,
    line: line.number,
    message,
    param,
  });
  if (line.bytes === null) return error('line_too_long', `This line is longer than ${maxLineBytes} bytes.`);
  if (!isUtf8(line.bytes)) return error('invalid_json_line', 'This line is not valid UTF-8.');
  let value: unknown;
  try {
    value = JSON.parse(line.bytes.toString('utf8'));
  } catch {
    return error('invalid_json_line', 'This line is not parseable as valid JSON.');
  }
  if (!isObject(value)) return error('invalid_json_line', 'This line is not a JSON object.');
  const { custom_id: customId, method, url, body } = value;
  if (customId === undefined)
    return error('missing_required_parameter', "Missing required parameter: 'custom_id'.", 'custom_id');
  if (typeof customId !== 'string' || customId === '' || customId.length > 512)
    return error('invalid_custom_id', "'custom_id' must be a string of 1 to 512 characters.", 'custom_id');
  if (method !== 'POST') return error('invalid_method', '\'method\' must be "POST".', 'method');
  if (typeof url !== 'string') return error('missing_required_parameter', "Missing required parameter: 'url'.", 'url');
  if (url !== endpoint)
    return error(
      'url_mismatch',
      `The URL provided for this request does not match the batch endpoint '${endpoint}'.`,
      'url',
    );
  if (!isObject(body)) return error('missing_required_parameter', "'body' must be a JSON object.", 'body');
  return { customId, body, model: typeof body.model === 'string' ? body.model : null };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
