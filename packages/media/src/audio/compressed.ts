import { FLACDecoder } from '@wasm-audio-decoders/flac';
import { OggVorbisDecoder } from '@wasm-audio-decoders/ogg-vorbis';
import { MPEGDecoder } from 'mpg123-decoder';
import { OggOpusDecoder } from 'ogg-opus-decoder';
import { type Block, badAudio } from './wav.ts';

export const COMPRESSED = ['mp3', 'flac', 'vorbis', 'opus'] as const;
export type Compressed = (typeof COMPRESSED)[number];

interface Decoded {
  channelData: Float32Array[];
  samplesDecoded: number;
  sampleRate: number;
}

interface Decoder {
  ready: Promise<void>;
  decode(bytes: Uint8Array): Decoded | Promise<Decoded>;
  flush?(): Promise<Decoded>;
  free(): void;
}

const DECODERS: Record<Compressed, () => Decoder> = {
  mp3: () => new MPEGDecoder(),
  flac: () => new FLACDecoder(),
  vorbis: () => new OggVorbisDecoder(),
  opus: () => new OggOpusDecoder(),
};

/** Small enough that an hour of sound is never in memory at once. */
const CHUNK = 65_536;

/**
 * Decodes MP3, FLAC (bare or in Ogg), Ogg Vorbis and Ogg Opus, mixed down by the mean of the channels. Damaged frames
 * are left out, as players do. Hostile input can keep a decoder busy without end: run it where it can be ended.
 * @throws RequestError 400 `invalid_audio` if nothing can be decoded.
 */
export async function* decodeCompressed(bytes: Uint8Array, kind: Compressed): AsyncGenerator<Block> {
  const decoder = DECODERS[kind]();
  let any = false;
  try {
    await decoder.ready;
    for (let at = 0; at < bytes.length; at += CHUNK) {
      const block = mixed(await decoder.decode(bytes.subarray(at, at + CHUNK)));
      if (block === null) continue;
      any = true;
      yield block;
    }
    const rest = decoder.flush === undefined ? null : mixed(await decoder.flush());
    if (rest !== null) yield rest;
    else if (!any) throw badAudio(`The recording (${kind}) holds no sound that can be decoded.`);
  } finally {
    decoder.free();
  }
}

function mixed({ channelData, samplesDecoded, sampleRate }: Decoded): Block | null {
  // Decoders leave the other fields unset, or worse, until there are samples.
  if (samplesDecoded === 0) return null;
  const samples = new Float32Array(samplesDecoded);
  for (const channel of channelData)
    for (let i = 0; i < samplesDecoded; i++) samples[i] = (samples[i] ?? 0) + (channel[i] ?? 0);
  for (let i = 0; i < samplesDecoded; i++) samples[i] = (samples[i] ?? 0) / channelData.length;
  return { rate: sampleRate, samples };
}
