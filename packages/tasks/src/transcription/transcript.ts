import {
  addUsage,
  NO_USAGE,
  RequestError,
  type Transcription,
  type TranscriptionBase,
  type TranscriptionSegment,
  type Usage,
  type VerboseTranscription,
} from '@batchmill/contract';
import type { RecordingInfo } from '@batchmill/media';
import { type JudgedSegment, mergeResults, type Segment } from '@batchmill/safety';
import type { Draft } from '../port.ts';
import type { HeardChunk } from './hear-chunk.ts';
import { compressionRatio } from './loops.ts';
import type { Transcribing } from './request.ts';
import { type Said, writeSrt, writeVtt } from './subtitles.ts';
import { joinTexts, oneLine, sentencesOf, widthOf } from './words.ts';

export interface TranscriptDraft extends Draft {
  finish(judged: JudgedSegment[]): Transcription | VerboseTranscription;
}

export interface TranscriptOptions extends Pick<Transcribing, 'format' | 'language' | 'labels'> {
  task: 'transcribe' | 'translate';
}

/** A segment is at most about as long as a long sentence: longer chunks are split at the ends of sentences. */
const SEGMENT_MS = 10_000;
/** Shorter gaps between chunks are pauses, not silence that is worth a word. */
const SILENCE_SECONDS = 1;

/**
 * The transcript of all chunks, the text of each to be judged before anything is put together of it.
 * @param heard in any order.
 * @throws RequestError the error of the first chunk if every chunk failed.
 */
export function transcript(
  heard: readonly HeardChunk[],
  info: RecordingInfo,
  options: TranscriptOptions,
): TranscriptDraft {
  const chunks = heard.toSorted((a, b) => a.start - b.start || a.channel - b.channel);
  const failure = chunks[0]?.error;
  if (failure && chunks.every((chunk) => chunk.error !== null))
    throw new RequestError(failure.status, failure.message, failure.code === null ? {} : { code: failure.code });
  const spoken = chunks.filter((chunk) => chunk.text !== '');
  const segments = spoken.map((chunk): Segment => ({ id: `chunks.${chunk.channel}.${chunk.index}`, text: chunk.text }));
  const usage = chunks.reduce((sum, chunk) => addUsage(sum, chunk.usage), NO_USAGE);
  return {
    segments,
    usage,
    finish(judged) {
      if (judged.length !== segments.length || judged.some((j, i) => j.id !== segments[i]?.id))
        throw new Error('the judgements are not those of this transcript');
      const verdicts = new Map(spoken.map((chunk, i) => [chunk, judged[i]]));
      const parts = chunks.map((chunk): Part => {
        const verdict = verdicts.get(chunk);
        return {
          chunk,
          speaker: options.labels?.[chunk.channel === 0 ? 0 : 1] ?? null,
          // A filter may have put anything in.
          text: verdict === undefined || verdict.blocked ? '' : oneLine(verdict.text),
          results: verdict?.results ?? {},
        };
      });
      return finish(parts, info, options, usage);
    },
  };
}

/** A chunk as it may be shown. */
interface Part {
  chunk: HeardChunk;
  speaker: string | null;
  text: string;
  results: JudgedSegment['results'];
}

function finish(
  parts: readonly Part[],
  info: RecordingInfo,
  options: TranscriptOptions,
  usage: Usage,
): Transcription | VerboseTranscription {
  const { format, task } = options;
  const said = parts.flatMap(sentencesSaid).sort((a, b) => a.start - b.start);
  const plain = options.labels === null ? plainText(parts) : dialogue(said);
  const text = format === 'srt' ? writeSrt(said) : format === 'vtt' ? writeVtt(said) : plain;
  const count = (what: 'dropped' | 'truncated' | 'repeated') => parts.filter(({ chunk }) => chunk[what]).length;
  const [dropped, truncated, repeated] = [count('dropped'), count('truncated'), count('repeated')];
  const failed = parts.filter((part) => part.chunk.error !== null);
  const results = mergeResults(...parts.map((part) => part.results));
  const missing = round(info.missingSeconds);
  const note = [
    missing > 0 ? `The recording is cut off or damaged: ${missing} s of it are missing.` : '',
    whyEmpty(parts, dropped),
  ].filter((sentence) => sentence !== '');
  const base: TranscriptionBase = {
    text,
    duration: round(info.seconds),
    ...(note.length === 0 ? {} : { note: note.join(' ') }),
    ...(missing === 0 ? {} : { missing_seconds: missing }),
    ...(dropped === 0 ? {} : { dropped }),
    ...(truncated === 0 ? {} : { truncated }),
    ...(repeated === 0 ? {} : { repeated }),
    ...(failed.length === 0
      ? {}
      : {
          errors: failed.map(({ chunk, speaker }) => ({
            start: round(chunk.start),
            end: round(chunk.end),
            ...(speaker === null ? {} : { speaker }),
            code: chunk.error?.code ?? null,
            message: chunk.error?.message ?? '',
          })),
        }),
    ...(Object.keys(results).length === 0 ? {} : { content_filter_results: results }),
  };
  if (format !== 'verbose_json') {
    const { input_tokens, output_tokens, total_tokens } = usage;
    return { ...base, usage: { type: 'tokens', input_tokens, output_tokens, total_tokens } };
  }
  return {
    task,
    language: task === 'translate' ? 'english' : (options.language?.toLowerCase() ?? null),
    ...base,
    segments: parts
      .flatMap(segmentsOf)
      .sort((a, b) => a.start - b.start)
      .map((segment, id) => ({ ...segment, id })),
    dropped,
    speech_seconds: round(info.speechSeconds),
    silence: silenceOf(parts, info),
    usage: { type: 'duration', seconds: Math.ceil(info.seconds) },
  };
}

const round = (value: number) => Math.round(value * 1_000) / 1_000;
const ms = (value: number) => Math.round(value * 1_000);

/** Why there is no text; empty if there is some. */
function whyEmpty(parts: readonly Part[], dropped: number): string {
  if (parts.some((part) => part.text !== '')) return '';
  if (parts.length === 0) return 'No speech was found in the recording.';
  if (parts.some((part) => part.chunk.text !== '')) return 'The content filters withheld all of the text.';
  if (dropped > 0) return 'What the model wrote cannot have been said in the time; it was dropped.';
  return 'The model made out no words in what sounds like speech.';
}

function plainText(parts: readonly Part[]): string {
  return parts.reduce((text, part) => joinTexts(text, part.text), '');
}

/** `label: text` a line; who goes on speaking goes on in his line. */
function dialogue(said: readonly Said[]): string {
  const turns: { speaker: string | null; text: string }[] = [];
  for (const { speaker, text } of said) {
    const last = turns.at(-1);
    if (last !== undefined && last.speaker === speaker) last.text = joinTexts(last.text, text);
    else turns.push({ speaker, text });
  }
  return turns.map(({ speaker, text }) => `${speaker}: ${text}`).join('\n');
}

/**
 * A part as what was said one after the other: whole sentences of together at most about 10 seconds. Nobody knows when within a
 * chunk a sentence begins, so its time is shared by length.
 */
function sentencesSaid({ chunk, speaker, text }: Part): Said[] {
  if (text === '') return [];
  const from = ms(chunk.start);
  const duration = ms(chunk.end) - from;
  const sentences = sentencesOf(text).map((sentence) => ({ text: sentence, width: widthOf(sentence) }));
  const total = sentences.reduce((sum, { width }) => sum + width, 0);
  const at = (width: number) => from + Math.round((width / total) * duration);
  const said: Said[] = [];
  let before = 0;
  for (const { text: sentence, width } of sentences) {
    const last = said.at(-1);
    const end = at(before + width);
    if (last !== undefined && end - last.start <= SEGMENT_MS) {
      last.text = joinTexts(last.text, sentence);
      last.end = end;
    } else said.push({ start: at(before), end, text: sentence, speaker });
    before += width;
  }
  return said;
}

function segmentsOf(part: Part): TranscriptionSegment[] {
  const { chunk, speaker, results } = part;
  const said = sentencesSaid(part);
  const empty = { start: ms(chunk.start), end: ms(chunk.end), text: '' };
  const filtered = Object.values(results).some((result) => result.filtered || result.redacted === true);
  // A chunk in which the model heard no word has no segment; one whose text is withheld or missing says why.
  const why = chunk.dropped || chunk.error !== null || (chunk.text !== '' && said.length === 0);
  const lengthSeconds = chunk.end - chunk.start;
  return (said.length > 0 ? said : why ? [empty] : []).map((one) => ({
    id: 0,
    seek: Math.round(chunk.start * 100),
    start: one.start / 1_000,
    end: one.end / 1_000,
    text: one.text,
    tokens: [],
    temperature: chunk.temperature,
    avg_logprob: chunk.logprob === null ? null : round(chunk.logprob),
    compression_ratio: round(compressionRatio(part.text)),
    no_speech_prob: round(lengthSeconds > 0 ? Math.min(1, Math.max(0, 1 - chunk.speechSeconds / lengthSeconds)) : 1),
    ...(speaker === null ? {} : { speaker }),
    ...(chunk.repeated ? { repeated: true } : {}),
    ...(chunk.truncated ? { truncated: true } : {}),
    ...(chunk.dropped ? { dropped: true } : {}),
    ...(chunk.error === null ? {} : { error: { code: chunk.error.code, message: chunk.error.message } }),
    ...(filtered ? { content_filter_results: results } : {}),
  }));
}

/** Where nobody speaks on any channel. */
function silenceOf(parts: readonly Part[], info: RecordingInfo): { start: number; end: number }[] {
  const silence: { start: number; end: number }[] = [];
  let until = 0;
  for (const { start, end } of [...parts.map((part) => part.chunk), { start: info.seconds, end: info.seconds }]) {
    if (start - until >= SILENCE_SECONDS) silence.push({ start: round(until), end: round(start) });
    until = Math.max(until, end);
  }
  return silence;
}
