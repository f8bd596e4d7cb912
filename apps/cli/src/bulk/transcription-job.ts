import { z } from 'zod';
import type { Job, Outputs } from './job.ts';
import { given } from './ocr-job.ts';
import type { Problem } from './state.ts';

export const FORMATS = ['txt', 'srt', 'vtt', 'json'] as const;
export type TranscriptFormat = (typeof FORMATS)[number];

export interface TranscriptionJobOptions {
  format: TranscriptFormat;
  model: string;
  translate: boolean;
  language?: string;
  /** Who is on the left and on the right channel. */
  labels?: [string, string];
  prompt?: string;
  /** Most tokens written for one stretch of speech. */
  maxTokens?: number;
}

/** What FFmpeg reads and people have: sound, and videos with sound. */
const EXTENSIONS: ReadonlySet<string> = new Set(
  (
    'mp3 m4a m4b aac wav wave flac ogg oga opus wma amr 3gp 3g2 aif aiff aifc au caf ac3 eac3 mka spx weba gsm ape wv tta dts ' +
    'mp2 webm mp4 m4v mov mkv avi wmv flv mpg mpeg ts mts m2ts ogv asf vob'
  ).split(' '),
);
const RESPONSE_FORMATS = { txt: 'text', srt: 'srt', vtt: 'vtt', json: 'verbose_json' } as const;

/** What this reads of an answer. */
const TranscriptionBody = z.object({
  text: z.string(),
  note: z.string().nullish(),
  missing_seconds: z.number().nullish(),
  truncated: z.number().nullish(),
  repeated: z.number().nullish(),
  dropped: z.number().nullish(),
  errors: z
    .array(
      z.object({
        start: z.number(),
        end: z.number(),
        speaker: z.string().nullish(),
        code: z.string().nullable(),
        message: z.string(),
      }),
    )
    .nullish(),
  content_filter_results: z.record(z.string(), z.object({ filtered: z.boolean().optional() }).nullable()).nullish(),
});

type TranscriptionBody = z.infer<typeof TranscriptionBody>;

/** Recordings to transcripts or subtitles. */
export function transcriptionJob(options: TranscriptionJobOptions): Job {
  const { format, translate } = options;
  return {
    command: 'transcribe',
    extensions: EXTENSIONS,
    called: 'recordings',
    endpoint: translate ? '/v1/audio/translations' : '/v1/audio/transcriptions',
    body: {
      model: options.model,
      response_format: RESPONSE_FORMATS[format],
      ...given('language', options.language),
      ...given('channel_labels', options.labels),
      ...given('prompt', options.prompt),
      ...given('max_tokens', options.maxTokens),
    },
    sourceOf: (at) => ('fileId' in at ? { file_id: at.fileId } : { url: at.url }),
    form: format,
    suffixes: [`.${format}`],
    outputsOf: (body) => outputsOf(body, format),
  };
}

function outputsOf(body: unknown, format: TranscriptFormat): Outputs {
  const answer = TranscriptionBody.parse(body);
  const content =
    format === 'json' ? `${JSON.stringify(body, null, 2)}\n` : answer.text === '' ? '' : `${answer.text.trimEnd()}\n`;
  const problems: Problem[] = (answer.errors ?? []).map(({ start, end, speaker, code, message }) => ({
    code,
    message,
    at: `${clock(start)}–${clock(end)}${speaker == null ? '' : ` (${speaker})`}`,
  }));
  if (Object.values(answer.content_filter_results ?? {}).some((filter) => filter?.filtered === true))
    problems.push({ code: 'content_filter', message: 'a filter blocked text of it' });
  return { files: [{ suffix: `.${format}`, content }], problems: [...problems, ...doubtsOf(answer)] };
}

/** What is there and deserves a look, or is not there for a reason. */
function doubtsOf({ note, missing_seconds, truncated, repeated, dropped }: TranscriptionBody): Problem[] {
  const doubts: Problem[] = [];
  const say = (code: string, count: number | null | undefined, one: string, many: string) => {
    if (count != null && count > 0) doubts.push({ code, message: `${count} ${count === 1 ? one : many}` });
  };
  if (note != null) doubts.push({ code: missing_seconds == null ? 'no_text' : 'cut_off', message: note });
  const cut = 'cut off at the most tokens';
  say('truncated', truncated, `stretch was ${cut} it may take`, `stretches were ${cut} they may take`);
  const loops = 'in which the model repeated itself';
  say('repeated', repeated, `stretch ${loops} was cut to once`, `stretches ${loops} were cut to once`);
  say('dropped', dropped, 'text that nobody can have said was dropped', 'texts that nobody can have said were dropped');
  return doubts;
}

/** `1:02:05` or `2:05`. */
export function clock(seconds: number): string {
  const s = Math.floor(seconds);
  const two = (n: number) => String(n).padStart(2, '0');
  const [hours, minutes] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}
