import { z } from 'zod';
import type { ContentFilterResults } from './chat.ts';

/**
 * `POST /v1/audio/transcriptions` and `/v1/audio/translations` as lines of a batch. A multipart form cannot be a JSON
 * line, so every service that takes such lines names the recording in its own way: Groq `url`, Mistral `file_url` and
 * `file_id`, vLLM a `file` that holds the data. All of them are taken. Objects are strict, so a parameter that is not
 * served is refused by name instead of being ignored.
 */
export const TranscriptionRequest = z.strictObject({
  model: z.string().min(1),
  /** Exactly one of these four names the recording. Each may be a `data:`, `https:` or `s3:` URL or a `file-…` id. */
  url: z.string().min(1).nullable().optional(),
  file_url: z.string().min(1).nullable().optional(),
  file_id: z.string().min(1).nullable().optional(),
  file: z.string().min(1).nullable().optional(),
  /** Names and words to expect, or what was said before. */
  prompt: z.string().max(10_000).nullable().optional(),
  response_format: z.enum(['json', 'text', 'srt', 'vtt', 'verbose_json']).nullable().optional(),
  temperature: z.number().min(0).max(1).nullable().optional(),
  /** Extension: speaker on each channel of a two-channel recording, first left, then right. */
  channel_labels: z
    .tuple([z.string(), z.string()])
    .refine((labels) => labels.every((label) => isLabel(label)), 'labels have 1 to 64 characters on one line')
    .refine(([a, b]) => a !== b, 'the two labels must differ')
    .nullable()
    .optional(),
  /** Extension: most tokens written for one chunk of the recording. */
  max_tokens: z.number().int().min(1).nullable().optional(),
  /** Batches have no stream: only `false` is accepted. */
  stream: z.literal(false, 'is not served in batches; only false is accepted').nullable().optional(),
  /** Mistral's client always sends it. */
  diarize: z
    .literal(
      false,
      "is not served: speakers are told apart by their channels ('channel_labels'); only false is accepted",
    )
    .nullable()
    .optional(),
  /** What is spoken: an ISO 639 code, `en` or `de-CH`. */
  language: z.string().nullable().optional(),
  timestamp_granularities: z
    .array(
      z
        .enum(['segment', 'word'])
        .refine((granularity) => granularity !== 'word', 'time stamps of words are not served, only of segments'),
    )
    .nullable()
    .optional(),
});
export type TranscriptionRequest = z.infer<typeof TranscriptionRequest>;

function isLabel(label: string): boolean {
  return label.length <= 64 && label.trim() === label && /^[^\p{Cc}\u2028\u2029]+$/u.test(label);
}

/** A part of a recording in which somebody speaks. Times are seconds in the recording. */
export interface TranscriptionSegment {
  id: number;
  /** Where the chunk that was heard begins, in hundredths of a second. */
  seek: number;
  start: number;
  end: number;
  text: string;
  /** Always empty: token ids of this model mean nothing elsewhere. */
  tokens: number[];
  temperature: number;
  /** Mean natural logarithm of the probability of each token written, over the whole chunk; null without text. */
  avg_logprob: number | null;
  /** Size of the chunk's text over its size when compressed: above 2.4, it repeats itself. */
  compression_ratio: number;
  /** Share of the chunk in which no voice was found. */
  no_speech_prob: number;
  /** The label of the channel, if `channel_labels` were given. */
  speaker?: string;
  /** The model repeated itself without end; the text was cut to once. */
  repeated?: true;
  /** `max_tokens` ended the text. */
  truncated?: true;
  /** A text was written where there is (nearly) no speech, or far more than can be said in the time; it was dropped. */
  dropped?: true;
  /** Why this part has no text. */
  error?: { code: string | null; message: string };
  content_filter_results?: ContentFilterResults;
}

/** What every format has. */
export interface TranscriptionBase {
  /** The transcript, in the format asked for. */
  text: string;
  /** Length of the recording in seconds. */
  duration: number;
  /** Says why `text` is empty, if it is, and if the recording is not whole. */
  note?: string;
  /** How much less sound the file had than it promised, if it was cut off or damaged. */
  missing_seconds?: number;
  /** Texts dropped since nobody can have said them. Given if there are any. */
  dropped?: number;
  /** Chunks whose text `max_tokens` ended, and those in which the model repeated itself. Given if there are any. */
  truncated?: number;
  repeated?: number;
  /** Parts that are missing from `text`, since each failed by itself. Given if there are any. */
  errors?: { start: number; end: number; speaker?: string; code: string | null; message: string }[];
  content_filter_results?: ContentFilterResults;
}

/** `json`, `text`, `srt` and `vtt`. */
export interface Transcription extends TranscriptionBase {
  usage: { type: 'tokens'; input_tokens: number; output_tokens: number; total_tokens: number };
}

export interface VerboseTranscription extends TranscriptionBase {
  task: 'transcribe' | 'translate';
  /** English name of the language of the text in small letters; null if the request does not say it. */
  language: string | null;
  segments: TranscriptionSegment[];
  dropped: number;
  /** Seconds of it in which somebody speaks. */
  speech_seconds: number;
  /** Where nobody speaks on any channel, as far as it was skipped. */
  silence: { start: number; end: number }[];
  usage: { type: 'duration'; seconds: number };
}
