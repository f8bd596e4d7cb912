import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { RequestError } from '@batchmill/contract';
import {
  AV_LOG_QUIET,
  AV_NOPTS_VALUE,
  AVDISCARD_ALL,
  AVERROR_DECODER_NOT_FOUND,
  AVMEDIA_TYPE_AUDIO,
} from 'node-av/constants';
import {
  Codec,
  CodecContext,
  Dictionary,
  FFmpegError,
  FormatContext,
  Frame,
  InputFormat,
  Log,
  Packet,
  PosixError,
  type Stream,
} from 'node-av/lib';
import { badAudio, tooLong, unsupported } from './recording-errors.ts';
import { Resampler } from './resample.ts';

export interface DecodeOptions {
  /** `mix`: all channels mixed down to one. `split`: the first two apart, if there are two. */
  channels: 'mix' | 'split';
  /** Longest recording taken. */
  maxSeconds: number;
  /** Is told what is known of the recording when its first sound is there. */
  onBegin?: (begin: RecordingBegin) => void;
}

export interface RecordingBegin {
  /** How long it is by the words of the file, or by a guess; `null` if there is neither. */
  seconds: number | null;
  /** Channels of the recording itself. */
  channels: number;
}

export interface Decoded {
  seconds: number;
  /** Channels of the recording itself. */
  channels: number;
  /** How much less there was than the file promised: more than 0 if it was cut off or damaged. */
  missingSeconds: number;
}

/**
 * FFmpeg's formats that hold sound in themselves. Every other is refused, above all those that name further files or
 * addresses to open: hls, dash, concat, sdp, rtsp, imf, image sequences.
 */
const FORMATS =
  `aa aac ac3 act ac4 aiff amr amrnb amrwb ape asf au avi caf dsf dts dtshd dv eac3 flac flv gsm gxf iff loas
  matroska mlp mov mp3 mpc mpc8 mpeg mpegts mxf nsv nut ogg oma qcp rm rso shn sox tak truehd tta voc vqf w64 wav wtv wv
  xwma`.split(/\s+/);

/** Formats that do not say how long they last: FFmpeg guesses it by the size, and may be far off. */
const GUESSED = /^(mp3|aac|ac3|eac3|amr|amrnb|amrwb|dts|mpeg|mpegts|loas|gsm)$/;

/** Bytes this process may take; a recording that wants more was made to. */
const MAX_MEMORY = 2 ** 30;

Log.setLevel(AV_LOG_QUIET);
/** What is no fault of the file's. */
const DISK_ERRORS = new Set<number>(
  [PosixError.ENOENT, PosixError.EACCES, PosixError.EMFILE].map((e) => FFmpegError.AVERROR(e)),
);
const audioDecoders = Codec.getCodecList().filter((c) => c.isDecoder() && c.type === AVMEDIA_TYPE_AUDIO);

/**
 * Decodes the first audio stream (the best, if the file marks one) of a file in any container that FFmpeg reads, video
 * files too, as 16 kHz 16-bit samples: one array per channel in each block, valid until the next is asked for. Samples lie
 * where the file's time stamps put them. Damaged frames are left out, as players do. No other file and no address
 * is opened, whatever the file says. Hostile input may crash the process: run it in one of its own.
 * @throws RequestError 400 `unsupported_audio` (format or codec), `no_audio` (no audio stream), `invalid_audio`
 *   (damaged), `audio_too_long`.
 */
export function* decode(path: string, options: DecodeOptions): Generator<Int16Array[], Decoded> {
  const { channels, maxSeconds } = options;
  using input = new Input(path, maxSeconds);
  const output = new Resampler(channels, maxSeconds);
  let begun = false;
  using frame = new Frame();
  frame.alloc();
  try {
    for (let more = true; more; ) {
      more = input.feed();
      while (input.codec.receiveFrameSync(frame) >= 0) {
        if (frame.nbSamples > 0) {
          if (!begun) options.onBegin?.({ seconds: input.length, channels: frame.channels });
          begun = true;
          yield* output.push(frame, input.codec.sampleFormat, input.secondsOf(frame.pts));
        }
        frame.unref();
      }
    }
    yield* output.flush();
  } finally {
    output.close();
  }
  if (output.channels === 0) throw badAudio('The recording holds no sound that can be decoded.');
  const missing = (input.promised ?? 0) - output.seconds;
  // Containers round, and encoders pad.
  const missingSeconds = missing > Math.max(0.5, output.seconds / 100) ? missing : 0;
  return { seconds: output.seconds, channels: output.channels, missingSeconds };
}

/** An open file, its audio stream and decoder. */
class Input {
  readonly codec = new CodecContext();
  /** Seconds of sound there are, if the file says so. */
  readonly promised: number | null;
  /** The same, or a guess by size and bit rate. */
  readonly length: number | null;
  readonly #format = new FormatContext();
  readonly #packet = new Packet();
  readonly #stream: number;
  readonly #start: number;
  readonly #tick: number;
  #packets = 0;

  constructor(path: string, maxSeconds: number) {
    const format = this.#format;
    const options = Dictionary.fromObject({
      protocol_whitelist: 'file',
      format_whitelist: FORMATS.join(),
      codec_whitelist: audioDecoders.map((c) => c.name).join(),
    });
    const opened = format.openInputSync(`file:${path}`, null, options);
    options.free();
    if (DISK_ERRORS.has(opened)) throw new Error(`${path}: ${FFmpegError.strerror(opened)}`);
    if (opened < 0) throw notOpened(path);
    format.findStreamInfoSync();
    const found = format.findBestStream(AVMEDIA_TYPE_AUDIO, -1, -1, true);
    const stream = format.streams[found.streamIndex];
    try {
      if (found.streamIndex === AVERROR_DECODER_NOT_FOUND)
        throw unsupported('The recording is in a codec that cannot be decoded.');
      if (stream === undefined || found.decoder === null)
        throw new RequestError(400, 'The file holds no sound.', { code: 'no_audio' });
      this.promised = promisedSeconds(path, format, stream);
      this.length = this.promised ?? (format.duration > 0n ? Number(format.duration) / 1e6 : null);
      // Before hours of work, not after. Containers round.
      if ((this.promised ?? 0) > maxSeconds * 1.01 + 1) throw tooLong(maxSeconds);
      for (const other of format.streams) if (other.index !== found.streamIndex) other.discard = AVDISCARD_ALL;
      this.codec.allocContext3(found.decoder);
      this.codec.parametersToContext(stream.codecpar);
      this.codec.pktTimebase = stream.timeBase;
      this.codec.threadCount = 1;
      if (this.codec.open2Sync(found.decoder) < 0)
        throw unsupported(`The recording's codec (${found.decoder.name}) cannot be decoded as it is used here.`);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    this.#stream = found.streamIndex;
    this.#tick = stream.timeBase.num / stream.timeBase.den;
    this.#start = format.startTime === AV_NOPTS_VALUE ? 0 : Number(format.startTime) / 1e6;
    this.#packet.alloc();
  }

  /** Gives the decoder its next packet. False when the file has ended and the decoder was told so. */
  feed(): boolean {
    const packet = this.#packet;
    for (;;) {
      if (++this.#packets % 1_000 === 0 && process.memoryUsage.rss() > MAX_MEMORY)
        throw badAudio('The recording takes too much memory to decode; it may be damaged.');
      if (this.#format.readFrameSync(packet) < 0) {
        this.codec.sendPacketSync(null);
        return false;
      }
      const ours = packet.streamIndex === this.#stream;
      // What the decoder cannot use is left out.
      if (ours) this.codec.sendPacketSync(packet);
      packet.unref();
      if (ours) return true;
    }
  }

  /** A time stamp as seconds since the file's beginning, or `null` if it is none. */
  secondsOf(pts: bigint): number | null {
    return pts === AV_NOPTS_VALUE ? null : Number(pts) * this.#tick - this.#start;
  }

  [Symbol.dispose](): void {
    this.codec.freeContext();
    this.#packet.free();
    this.#format.closeInputSync();
  }
}

/** What to say of a file that FFmpeg does not open. */
function notOpened(path: string): RequestError {
  if (statSync(path).size === 0) return badAudio('The recording is empty.');
  const name = InputFormat.probe(head(path, 4_096))?.name ?? '';
  return name.split(',').some((n) => FORMATS.includes(n))
    ? badAudio(`The recording (${name}) is damaged or cut off at its beginning.`)
    : unsupported('The file is in no format of sound that FFmpeg knows.');
}

/** The first bytes of a file, with zeros behind if it is shorter. */
function head(path: string, bytes: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(bytes);
    readSync(file, buffer);
    return buffer;
  } finally {
    closeSync(file);
  }
}

/** How long the sound is by the words of the file, or `null` if it does not say or that is a guess of FFmpeg's. */
function promisedSeconds(path: string, format: FormatContext, stream: Stream): number | null {
  if (GUESSED.test(format.iformat?.name ?? '')) return null;
  if (stream.duration !== AV_NOPTS_VALUE && stream.duration > 0n)
    return (Number(stream.duration) * stream.timeBase.num) / stream.timeBase.den + cutOff(path, stream);
  // The length of the whole is that of the picture, if there is one.
  return format.nbStreams === 1 && format.duration > 0n ? Number(format.duration) / 1e6 : null;
}

/** Seconds missing at the end of a WAV file by its header, which FFmpeg does not believe. 0 for other files. */
function cutOff(path: string, stream: Stream): number {
  const header = head(path, 12);
  if (header.toString('latin1', 0, 4) !== 'RIFF' || header.toString('latin1', 8) !== 'WAVE') return 0;
  const missing = 8 + header.readUInt32LE(4) - statSync(path).size;
  // Programs that write WAV into a pipe cannot know the size, and write the largest they can think of.
  if (header.readUInt32LE(4) >= 0x7fff_f000 || missing <= 0 || stream.codecpar.bitRate <= 0n) return 0;
  return (8 * missing) / Number(stream.codecpar.bitRate);
}
