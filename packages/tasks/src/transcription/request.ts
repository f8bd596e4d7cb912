import { invalid, RequestError, TranscriptionRequest } from '@batchmill/contract';
import { wrong } from '../refusals.ts';

/** A line, understood. */
export interface Transcribing {
  model: string;
  /** Where the recording is, and the parameter that says so. */
  source: string;
  param: 'url' | 'file_url' | 'file_id' | 'file';
  format: 'json' | 'text' | 'srt' | 'vtt' | 'verbose_json';
  /** English name of the language that is spoken. */
  language: string | null;
  prompt: string | null;
  temperature: number;
  maxTokens: number | null;
  labels: [string, string] | null;
}

const SOURCES = ['url', 'file_url', 'file_id', 'file'] as const;

/**
 * Reads a body, with the rules that one parameter sets for another.
 * @throws RequestError 400 that names the parameter.
 */
export function parseTranscription(body: Record<string, unknown>): Transcribing {
  const parsed = TranscriptionRequest.safeParse(body);
  if (!parsed.success) throw invalid(parsed.error, body);
  const request = parsed.data;
  const given = SOURCES.flatMap((param) => {
    const source = request[param];
    return typeof source === 'string' ? [{ param, source }] : [];
  });
  const [source, another] = given;
  if (source === undefined)
    throw new RequestError(400, "Missing required parameter: one of 'url', 'file_url', 'file_id' and 'file'.", {
      code: 'missing_required_parameter',
      param: 'url',
    });
  if (another !== undefined)
    throw wrong(another.param, `'${source.param}' names a recording already; give one of them`);
  return {
    model: request.model,
    ...source,
    format: formatOf(request),
    language: typeof request.language === 'string' ? languageName(request.language) : null,
    prompt: request.prompt?.trim() || null,
    temperature: request.temperature ?? 0,
    maxTokens: request.max_tokens ?? null,
    labels: request.channel_labels ?? null,
  };
}

/** Asking for the times of segments is asking for segments, as with Mistral; OpenAI and Groq have it said twice. */
function formatOf({ response_format, timestamp_granularities }: TranscriptionRequest): Transcribing['format'] {
  const segments = (timestamp_granularities ?? []).length > 0;
  const format = response_format ?? (segments ? 'verbose_json' : 'json');
  if (segments && format !== 'verbose_json')
    throw wrong('timestamp_granularities', "time stamps need 'response_format' to be 'verbose_json'");
  return format;
}

function languageName(code: string): string {
  try {
    const name = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'none' }).of(code);
    if (name !== undefined) return name;
  } catch {
    // Said below.
  }
  throw wrong('language', 'it must be an ISO 639 code, like "en" or "de"');
}
