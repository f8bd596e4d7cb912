export interface ChunkOptions {
  /** No chunk is longer. */
  maxChunkSeconds: number;
  /** `mix`: all channels mixed down to one. `split`: the first two channels apart, as calls are recorded. */
  channels: 'mix' | 'split';
  /** Longest recording taken. */
  maxSeconds: number;
  signal: AbortSignal;
}

export interface SpeechChunk {
  /** Counts the chunks of one channel from 0. */
  index: number;
  /** 0 with `mix`; 0 or 1 with `split`. */
  channel: number;
  /** Where it lies in the recording, in seconds. */
  start: number;
  end: number;
  /** How much of it is speech. */
  speechSeconds: number;
  /** WAV, 16 kHz, mono, 16-bit PCM. */
  data: Uint8Array;
}

export interface RecordingInfo {
  seconds: number;
  /** Channels of the recording itself. */
  channels: number;
  /** Sum over the chunks. */
  speechSeconds: number;
}

/** Cuts a recording in silence. */
export async function* speechChunks(_path: string, _options: ChunkOptions): AsyncGenerator<SpeechChunk, RecordingInfo> {
  yield* [];
  throw new Error('speechChunks is being written');
}
