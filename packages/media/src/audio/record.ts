import { type Decoded, decode, type RecordingBegin } from './decode.ts';
import { badAudio } from './recording-errors.ts';
import type { Head, Job } from './recording-messages.ts';
import { SpeechCutter } from './speech-cutter.ts';
import { ENGINE_RATE, encodeWav } from './wav.ts';

interface Part {
  head: Head;
  data?: Uint8Array;
}

/**
 * Does one job: everything that is to be sent, in order. Between chunks there is a `working` per second of sound.
 * @throws RequestError as `decode`.
 */
export function* record(job: Job): Generator<Part, void> {
  yield* job.want === 'whole' ? whole(job) : chunks(job);
}

function* whole({ path, maxSeconds }: Job & { want: 'whole' }): Generator<Part, void> {
  const pieces: Int16Array[] = [];
  const sound = decode(path, { channels: 'mix', maxSeconds });
  for (;;) {
    const { done, value } = sound.next();
    if (done === true) {
      if (value.missingSeconds > 0)
        throw badAudio(`The recording is cut off or damaged: ${value.missingSeconds.toFixed(1)} s of it are missing.`);
      yield { head: end(value, 0), data: encodeWav(pieces, ENGINE_RATE) };
      return;
    }
    for (const samples of value) pieces.push(samples.slice());
    yield { head: { is: 'working' } };
  }
}

function* chunks(job: Job & { want: 'chunks' }): Generator<Part, void> {
  using channels = new DisposableStack();
  const cutters: { cutter: SpeechCutter; chunks: number }[] = [];
  let speech = 0;
  const parts = function* (channel: number, samples: Int16Array | null): Generator<Part> {
    cutters[channel] ??= { cutter: channels.use(new SpeechCutter(job.maxChunkSeconds, job.pauseSeconds)), chunks: 0 };
    const to = cutters[channel];
    for (const chunk of samples === null ? to.cutter.flush() : to.cutter.push(samples)) {
      const start = chunk.start / ENGINE_RATE;
      const speechSeconds = chunk.speech / ENGINE_RATE;
      speech += speechSeconds;
      const head: Head = {
        is: 'chunk',
        index: to.chunks++,
        channel,
        start,
        end: chunk.end / ENGINE_RATE,
        speechSeconds,
      };
      yield { head, data: encodeWav([chunk.samples], ENGINE_RATE) };
    }
  };
  const begins: RecordingBegin[] = [];
  const sound = decode(job.path, { ...job, onBegin: (begin) => begins.push(begin) });
  for (;;) {
    const { done, value } = sound.next();
    for (const begin of begins.splice(0)) yield { head: { is: 'begin', ...begin } };
    if (done === true) {
      for (const channel of cutters.keys()) yield* parts(channel, null);
      yield { head: end(value, speech) };
      return;
    }
    for (const [channel, samples] of value.entries()) yield* parts(channel, samples);
    yield { head: { is: 'working' } };
  }
}

const end = (recording: Decoded, speechSeconds: number): Head => ({
  is: 'end',
  ...recording,
  speechSeconds,
  memory: process.memoryUsage.rss(),
});
