import type { Lane } from '@batchmill/queue';

/**
 * Which lane an item takes and roughly what it costs, in tokens of engine time. It decides how items are grouped into shards and
 * how many workers are asked for, so it reads the body without trusting it: a body that makes no sense is cheap, it will be an
 * error soon.
 */
export interface Estimate {
  lane: Lane;
  tokens: number;
  /** Pages of documents, and seconds of recordings. Their tokens are in `tokens`. */
  pages: number;
  audioSeconds: number;
}

/** A picture at Gemma 4's default budget; a recording of unknown length in seconds; an answer when no bound is given. */
const IMAGE_TOKENS = 280;
const AUDIO_SECONDS = 30;
const ANSWER_TOKENS = 256;
/** A page of a document at its own budget, and its text. */
const PAGE_TOKENS = 1_120 + 400;
/** Most documents are short; how long one is shows when it is opened. */
const DOCUMENT_PAGES = 12;
/** No range makes a document longer than this. */
const MOST_PAGES = 5_000;
/** Ten minutes, if nothing is known of a recording; 25 tokens a second that is heard, and about 5 of its text. */
const RECORDING_SECONDS = 600;
const HEARD_TOKENS = 25;
const SPOKEN_TOKENS = 5;
/** Bytes of a second of sound: WAV as the model wants it, else as MP3 of 128 kbit/s. Only for what is inline. */
const WAV_BYTES = 32_000;
const MP3_BYTES = 16_000;

export function estimate(endpoint: string, body: Record<string, unknown>, lineBytes: number): Estimate {
  if (endpoint === '/v1/ocr') {
    const pages = pagesOf(body);
    return { lane: 'media', tokens: pages * PAGE_TOKENS, pages, audioSeconds: 0 };
  }
  if (endpoint.startsWith('/v1/audio/')) {
    const audioSeconds = inlineSeconds(body.file) ?? RECORDING_SECONDS;
    return { lane: 'media', tokens: Math.ceil(audioSeconds * (HEARD_TOKENS + SPOKEN_TOKENS)), pages: 0, audioSeconds };
  }
  let images = 0;
  let audios = 0;
  let audioSeconds = 0;
  if (Array.isArray(body.messages)) {
    for (const message of body.messages) {
      const content: unknown = isObject(message) ? message.content : null;
      if (!Array.isArray(content)) continue;
      for (const part of content) {
        if (!isObject(part)) continue;
        if (part.type === 'image_url' || part.type === 'file') images++;
        else if (part.type === 'input_audio') {
          audios++;
          audioSeconds += inlineSeconds(isObject(part.input_audio) ? part.input_audio.data : null) ?? AUDIO_SECONDS;
        }
      }
    }
  }
  const bound = body.max_completion_tokens ?? body.max_tokens;
  const answer = typeof bound === 'number' && bound > 0 ? Math.min(bound, 8_192) : ANSWER_TOKENS;
  const media = images + audios;
  // Inline media make the line long without making the prompt long.
  const text = media > 0 ? 64 : Math.ceil(lineBytes / 4);
  const tokens = Math.ceil(text + images * IMAGE_TOKENS + audioSeconds * HEARD_TOKENS + answer);
  return { lane: media > 0 ? 'media' : 'text', tokens, pages: 0, audioSeconds };
}

/** How long a recording is that is sent in base64, by its size; `null` if it is not inline. */
function inlineSeconds(data: unknown): number | null {
  if (typeof data !== 'string' || /^(https?|s3):/i.test(data) || data.startsWith('file-')) return null;
  const start = data.startsWith('data:') ? data.indexOf(',') + 1 : 0;
  const bytes = ((data.length - start) * 3) / 4;
  // `RIFF` in base64.
  const rate = data.startsWith('UklGR', start) ? WAV_BYTES : MP3_BYTES;
  return Math.max(1, Math.min(bytes / rate, 12 * 3_600));
}

function pagesOf({ pages, document }: Record<string, unknown>): number {
  if (Array.isArray(pages)) return Math.max(1, pages.length);
  if (typeof pages === 'string') return Math.min(MOST_PAGES, pages.split(',').map(lengthOf).reduce(sum));
  return isObject(document) && document.type === 'image_url' ? 1 : DOCUMENT_PAGES;
}

/** Of `5-7`, or of one page. */
function lengthOf(range: string): number {
  const [first, last = first] = range.split('-');
  const length = Number(last) - Number(first) + 1;
  // Of what is no number, NaN: like one page.
  return Number.isFinite(length) ? Math.max(length, 1) : 1;
}

const sum = (a: number, b: number) => a + b;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
