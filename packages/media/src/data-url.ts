import { RequestError } from '@batchmill/contract';

/** Longest `data:…,` head looked at: a media type with parameters, far below this in practice. */
const MAX_HEAD = 512;

export interface DataUrl {
  /** Lower case, without parameters; `text/plain` if the URL names none (RFC 2397 §3). Nobody should believe it. */
  mediaType: string;
  bytes: Uint8Array;
}

/** True if the text begins like a data URL, well-formed or not. */
export function isDataUrl(text: string): boolean {
  return /^data:/i.test(text);
}

/**
 * Reads `data:[<media type>][;<parameter>…][;base64],<data>` (RFC 2397).
 * @throws RequestError 400 `invalid_data_url`, or `media_too_large` above `maxBytes` decoded bytes.
 */
export function parseDataUrl(text: string, maxBytes: number): DataUrl {
  const comma = text.slice(0, MAX_HEAD).indexOf(',');
  if (!isDataUrl(text) || comma < 0) throw invalid('it must look like data:image/png;base64,…');
  const [type = '', ...parameters] = text.slice('data:'.length, comma).split(';');
  if (type !== '' && !/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+$/.test(type)) throw invalid('its media type is not one');
  const base64 = parameters.at(-1)?.trim().toLowerCase() === 'base64';
  let data = text.slice(comma + 1);
  if (!base64) return { mediaType: type.toLowerCase() || 'text/plain', bytes: percentDecoded(data, maxBytes) };
  // Base64 inside a URL may be percent-encoded like everything else there: `%2B`, `%3D`.
  if (data.includes('%')) data = Buffer.from(percentDecoded(data, 2 * maxBytes)).toString('latin1');
  return { mediaType: type.toLowerCase() || 'text/plain', bytes: parseBase64(data, maxBytes) };
}

/**
 * Decodes base64 (RFC 4648 §4 and §5), padded or not, nothing else between: a letter that does not belong there is an
 * error instead of being skipped, since what it would leave is a broken file.
 * @throws RequestError 400 `invalid_base64`, or `media_too_large` above `maxBytes` decoded bytes.
 */
export function parseBase64(text: string, maxBytes: number): Uint8Array {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const letters = text.length - padding;
  const bytes = Math.floor((letters * 3) / 4);
  if (bytes > maxBytes) throw tooLarge(maxBytes);
  // Buffer skips foreign letters without a word, so they are looked for here.
  if (/^[A-Za-z0-9+/_-]*={0,2}$/.test(text) && letters % 4 !== 1 && (padding === 0 || text.length % 4 === 0))
    return Buffer.from(text, 'base64');
  const at = text.slice(0, letters).search(/[^A-Za-z0-9+/_-]/);
  throw new RequestError(
    400,
    at < 0
      ? 'The base64 data is cut off.'
      : `The base64 data holds ${JSON.stringify(text[at])} at position ${at}, which is no base64 (no line breaks, no spaces).`,
    { code: 'invalid_base64' },
  );
}

function percentDecoded(text: string, maxBytes: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(Math.min(Buffer.byteLength(text), maxBytes));
  let n = 0;
  for (let i = 0; i < text.length; i++, n++) {
    if (n >= maxBytes) throw tooLarge(maxBytes);
    const code = text.charCodeAt(i);
    if (code <= 0x20 || code > 0x7e)
      throw invalid(`it holds ${JSON.stringify(text[i])}; such letters are written as %XX`);
    if (code !== 0x25) {
      bytes[n] = code;
      continue;
    }
    const hex = text.slice(i + 1, i + 3);
    if (!/^[0-9a-f]{2}$/i.test(hex)) throw invalid("a '%' is not followed by two hexadecimal digits");
    bytes[n] = Number.parseInt(hex, 16);
    i += 2;
  }
  return bytes.subarray(0, n);
}

const invalid = (why: string) =>
  new RequestError(400, `The data URL is not valid: ${why}.`, { code: 'invalid_data_url' });
const tooLarge = (maxBytes: number) =>
  new RequestError(400, `The data is larger than ${maxBytes} bytes.`, { code: 'media_too_large' });
