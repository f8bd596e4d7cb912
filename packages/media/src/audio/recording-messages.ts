import type { Readable } from 'node:stream';
import { z } from 'zod';

/** What is asked of a decoder process: one line of JSON on its standard input. */
export const jobSchema = z.discriminatedUnion('want', [
  z.strictObject({ want: z.literal('whole'), path: z.string(), maxSeconds: z.number() }),
  z.strictObject({
    want: z.literal('chunks'),
    path: z.string(),
    maxSeconds: z.number(),
    maxChunkSeconds: z.number(),
    pauseSeconds: z.number(),
    channels: z.enum(['mix', 'split']),
  }),
]);
export type Job = z.infer<typeof jobSchema>;

const headSchema = z.discriminatedUnion('is', [
  /** `data` is a WAV file. */
  z.strictObject({
    is: z.literal('chunk'),
    index: z.number(),
    channel: z.number(),
    start: z.number(),
    end: z.number(),
    speechSeconds: z.number(),
  }),
  /** What is known of the recording before anything of it is given: `RecordingBegin`. */
  z.strictObject({ is: z.literal('begin'), seconds: z.number().nullable(), channels: z.number() }),
  /** Still at it. */
  z.strictObject({ is: z.literal('working') }),
  /** The job is done; `data` is a WAV file if the whole was wanted. `memory` is what the process takes, in bytes. */
  z.strictObject({
    is: z.literal('end'),
    seconds: z.number(),
    channels: z.number(),
    missingSeconds: z.number(),
    speechSeconds: z.number(),
    memory: z.number(),
  }),
  /** The job has ended: it is the recording's fault. */
  z.strictObject({ is: z.literal('refused'), code: z.string().nullable(), message: z.string() }),
  /** The process cannot decode anything. */
  z.strictObject({ is: z.literal('broken'), message: z.string() }),
]);
export type Head = z.infer<typeof headSchema>;
export type Message = Head & { data: Uint8Array };

/** A message as bytes: the lengths of what follows, 4 bytes each, little-endian; the head as JSON; the data. */
export function encodeMessage(head: Head, data: Uint8Array = new Uint8Array()): Uint8Array[] {
  const json = Buffer.from(JSON.stringify(head));
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32LE(json.length, 0);
  lengths.writeUInt32LE(data.length, 4);
  return [lengths, json, data];
}

const MAX_HEAD = 65_536;
/** Nine hours of sound in one piece. */
const MAX_DATA = 2 ** 30;

/** Reads messages off a stream, one at a time and not further than asked. Ends where the stream ends. */
export class MessageReader {
  readonly #stream: Readable;
  constructor(stream: Readable) {
    this.#stream = stream;
  }

  /** The next message, or `null` if the stream has ended first. */
  async next(): Promise<Message | null> {
    const lengths = await this.#bytes(8);
    if (lengths === null) return null;
    const [headBytes, dataBytes] = [lengths.readUInt32LE(0), lengths.readUInt32LE(4)];
    // Whatever goes wrong in the process at the other end, this one does not ask for memory without bounds.
    if (headBytes > MAX_HEAD || dataBytes > MAX_DATA) throw new Error('a decoder process sent what is no message');
    const json = await this.#bytes(headBytes);
    const data = await this.#bytes(dataBytes);
    if (json === null || data === null) return null;
    return { ...headSchema.parse(JSON.parse(json.toString())), data: new Uint8Array(data.buffer) };
  }

  /** Exactly so many bytes. Pieces are collected by hand: `read(n)` of a stream waits for all n in its buffer. */
  async #bytes(n: number): Promise<Buffer | null> {
    const whole = Buffer.allocUnsafeSlow(n);
    for (let have = 0; have < n; ) {
      const piece = this.#stream.read(Math.min(n - have, Math.max(1, this.#stream.readableLength)));
      if (Buffer.isBuffer(piece)) {
        piece.copy(whole, have);
        have += piece.length;
      } else if (this.#stream.readableEnded || this.#stream.destroyed || this.#stream.errored !== null) return null;
      else await readable(this.#stream);
    }
    return whole;
  }
}

/** Waits until there is something to read, or never will be. */
function readable(stream: Readable): Promise<void> {
  return new Promise((done) => {
    const events = ['readable', 'end', 'close', 'error'] as const;
    const on = () => {
      for (const event of events) stream.off(event, on);
      done();
    };
    for (const event of events) stream.on(event, on);
  });
}
