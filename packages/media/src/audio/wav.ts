import { RequestError } from '@batchmill/contract';
import { MAX_RATE } from './resample.ts';

/** Some of a recording, mixed down. */
export interface Block {
  /** Hz. */
  rate: number;
  /** Mono, −1 to 1. */
  samples: Float32Array;
}

interface Format {
  tag: number;
  channels: number;
  rate: number;
  bits: number;
}

/** Sample rate of what the engine hears, in Hz. */
export const ENGINE_RATE = 16_000;

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;
/** The tail of every KSDATAFORMAT_SUBTYPE GUID; its first two bytes are the format tag. */
const SUBTYPE = '000000001000800000aa00389b71';
const BLOCK_FRAMES = 32_768;

/** A recording that cannot be read. `message` tells the sender what is wrong with it. */
export const badAudio = (message: string, cause?: unknown) =>
  new RequestError(400, message, { code: 'invalid_audio', cause });

/**
 * Reads WAV (RIFF/WAVE, as in Microsoft's "Multimedia Programming Interface and Data Specifications 1.0" and
 * WAVEFORMATEXTENSIBLE): PCM of 8, 16, 24 or 32 bits and float of 32 or 64, any rate up to 384 kHz, any channels, mixed
 * down by their mean.
 * @throws RequestError 400 `invalid_audio`.
 */
export function* decodeWav(bytes: Uint8Array): Generator<Block> {
  const { format, data } = parse(bytes);
  const { channels, rate } = format;
  const size = (format.bits / 8) * channels;
  const frames = Math.floor(data.length / size);
  if (frames === 0) throw badAudio('The recording is empty.');
  const read = reader(format, data);
  for (let start = 0; start < frames; start += BLOCK_FRAMES) {
    const samples = new Float32Array(Math.min(BLOCK_FRAMES, frames - start));
    for (let i = 0, at = start * channels; i < samples.length; i++) {
      let sum = 0;
      for (let c = 0; c < channels; c++) sum += read(at++);
      samples[i] = sum / channels;
    }
    yield { rate, samples };
  }
}

function parse(bytes: Uint8Array): { format: Format; data: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const name = (at: number) => Buffer.from(bytes.subarray(at, at + 4)).toString('latin1');
  if (bytes.length < 12 || name(0) !== 'RIFF' || name(8) !== 'WAVE') throw badAudio('The file is no WAV recording.');
  let format: Format | null = null;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const id = name(at);
    const size = view.getUint32(at + 4, true);
    const start = at + 8;
    if (id === 'data') {
      if (format === null) throw badAudio('The WAV header does not say how the sound is stored.');
      // Programs that write WAV into a pipe cannot know the size and write this instead.
      const end = size === 0xffff_ffff ? bytes.length : start + size;
      if (end > bytes.length)
        throw badAudio(
          `The WAV file is cut off: its header promises ${size} bytes of sound, ${bytes.length - start} are there.`,
        );
      return { format, data: bytes.subarray(start, end) };
    }
    if (start + size > bytes.length) break;
    if (id === 'fmt ') format = parseFormat(view, start, size);
    // Chunks begin at even positions.
    at = start + size + (size % 2);
  }
  throw badAudio('The WAV file is cut off before the sound begins.');
}

function parseFormat(view: DataView, at: number, size: number): Format {
  if (size < 16) throw badAudio('The WAV header is cut off.');
  let tag = view.getUint16(at, true);
  const channels = view.getUint16(at + 2, true);
  const rate = view.getUint32(at + 4, true);
  const blockAlign = view.getUint16(at + 12, true);
  const bits = view.getUint16(at + 14, true);
  if (tag === EXTENSIBLE) {
    if (size < 40) throw badAudio('The WAV header is cut off.');
    const guid = Buffer.from(view.buffer, view.byteOffset + at + 24, 16);
    tag = guid.subarray(2).toString('hex') === SUBTYPE ? guid.readUInt16LE(0) : 0;
  }
  if (rate === 0 || rate > MAX_RATE)
    throw badAudio(`The WAV header gives a sample rate of ${rate} Hz; 1 to ${MAX_RATE} are taken.`);
  if (channels === 0) throw badAudio('The WAV header says there are no channels.');
  const known = tag === PCM ? [8, 16, 24, 32].includes(bits) : tag === FLOAT && (bits === 32 || bits === 64);
  if (!known)
    throw badAudio(
      `The WAV file holds format ${tag} with ${bits} bits; PCM of 8, 16, 24, 32 bits and float of 32, 64 are taken.`,
    );
  if (blockAlign !== (channels * bits) / 8) throw badAudio('The WAV header contradicts itself.');
  return { tag, channels, rate, bits };
}

/** Reads the nth sample as −1 to 1. */
function reader({ tag, bits }: Format, data: Uint8Array): (n: number) => number {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (tag === FLOAT) {
    const read =
      bits === 32 ? (n: number) => view.getFloat32(4 * n, true) : (n: number) => view.getFloat64(8 * n, true);
    return (n) => {
      const value = read(n);
      if (!Number.isFinite(value)) throw badAudio('The recording holds values that are not numbers.');
      return value;
    };
  }
  // 8-bit samples are the unsigned ones.
  if (bits === 8) return (n) => (view.getUint8(n) - 128) / 128;
  if (bits === 16) return (n) => view.getInt16(2 * n, true) / 2 ** 15;
  if (bits === 24) return (n) => (view.getUint16(3 * n, true) + view.getInt8(3 * n + 2) * 65_536) / 2 ** 23;
  return (n) => view.getInt32(4 * n, true) / 2 ** 31;
}

/** A WAV file of 16-bit mono samples, given in pieces. */
export function encodeWav(pieces: Int16Array[], rate: number): Uint8Array {
  const dataBytes = pieces.reduce((sum, p) => sum + p.byteLength, 0);
  const wav = Buffer.alloc(44 + dataBytes);
  wav.write('RIFF', 0, 'latin1');
  wav.writeUInt32LE(36 + dataBytes, 4);
  wav.write('WAVEfmt ', 8, 'latin1');
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(PCM, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(rate, 24);
  wav.writeUInt32LE(rate * 2, 28);
  wav.writeUInt16LE(2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write('data', 36, 'latin1');
  wav.writeUInt32LE(dataBytes, 40);
  let at = 44;
  for (const piece of pieces) {
    // Every machine Node runs on here is little-endian, as WAV is.
    wav.set(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength), at);
    at += piece.byteLength;
  }
  return wav;
}
