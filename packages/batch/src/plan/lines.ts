/** One line of a file: its bytes without the line break, and its number from 1. `null` bytes: longer than allowed. */
export interface Line {
  bytes: Buffer | null;
  number: number;
}

/**
 * Splits a byte stream into lines, batched per chunk so that the consumer awaits once per chunk and not once per line.
 * `\n` and `\r\n` end a line; a byte order mark at the start and lines of white space only are passed over but counted.
 * Memory is bounded by one chunk and one line of at most `maxLineBytes`: of a longer one nothing is kept.
 */
export async function* splitLines(source: AsyncIterable<Uint8Array>, maxLineBytes: number): AsyncGenerator<Line[]> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  let overlong = false;
  let number = 0;
  let lines: Line[] = [];

  const end = (tail: Buffer) => {
    number++;
    if (overlong || restBytes + tail.length > maxLineBytes) {
      lines.push({ bytes: null, number });
    } else {
      const bytes = trim(rest.length === 0 ? tail : Buffer.concat([...rest, tail]), number === 1);
      if (bytes.length > 0) lines.push({ bytes, number });
    }
    rest = [];
    restBytes = 0;
    overlong = false;
  };

  for await (const bytes of source) {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let start = 0;
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, start)) {
      end(chunk.subarray(start, at));
      start = at + 1;
    }
    const tail = chunk.subarray(start);
    if (restBytes + tail.length > maxLineBytes) {
      overlong = true;
      rest = [];
    } else if (tail.length > 0 && !overlong) {
      // A copy: the chunk's memory may be reused by the source.
      rest.push(Buffer.from(tail));
      restBytes += tail.length;
    }
    if (lines.length > 0) {
      yield lines;
      lines = [];
    }
  }
  if (restBytes > 0 || overlong) end(Buffer.alloc(0));
  if (lines.length > 0) yield lines;
}

/** Cuts JSON's white space (RFC 8259 §2) from both ends, and a UTF-8 byte order mark from the first line. */
function trim(line: Buffer, first: boolean): Buffer {
  let start = first && line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf ? 3 : 0;
  let end = line.length;
  while (start < end && isSpace(line[start])) start++;
  while (end > start && isSpace(line[end - 1])) end--;
  return line.subarray(start, end);
}

function isSpace(byte: number | undefined): boolean {
  return byte === 32 || byte === 9 || byte === 13;
}
