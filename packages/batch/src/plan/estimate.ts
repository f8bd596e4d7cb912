import type { Lane } from '@batchmill/queue';

/**
 * Which lane an item takes and roughly what it costs, in tokens of engine time. It decides only how items are grouped
 * into shards, so it reads the body without trusting it: a body that makes no sense is cheap, it will be an error soon.
 */
export interface Estimate {
  lane: Lane;
  tokens: number;
}

/** A picture at Gemma 4's default budget; a recording of unknown length; an answer when no bound is given. */
const IMAGE_TOKENS = 280;
const AUDIO_TOKENS = 750;
const ANSWER_TOKENS = 256;
/** A page of a document at its own budget, and its text. */
const PAGE_TOKENS = 1_120 + 400;
/** Most documents are short; how long one is shows when it is opened. */
const DOCUMENT_PAGES = 12;
/** No range makes a document longer than this. */
const MOST_PAGES = 5_000;
/** Ten minutes of speech: 25 tokens a second, and its text. */
const RECORDING_TOKENS = 10 * 60 * (25 + 5);

export function estimate(endpoint: string, body: Record<string, unknown>, lineBytes: number): Estimate {
  if (endpoint === '/v1/ocr') return { lane: 'media', tokens: pagesOf(body) * PAGE_TOKENS };
  if (endpoint.startsWith('/v1/audio/')) return { lane: 'media', tokens: RECORDING_TOKENS };
  let images = 0;
  let audios = 0;
  if (Array.isArray(body.messages)) {
    for (const message of body.messages) {
      const content: unknown = isObject(message) ? message.content : null;
      if (!Array.isArray(content)) continue;
      for (const part of content) {
        if (!isObject(part)) continue;
        if (part.type === 'image_url' || part.type === 'file') images++;
        else if (part.type === 'input_audio') audios++;
      }
    }
  }
  const bound = body.max_completion_tokens ?? body.max_tokens;
  const answer = typeof bound === 'number' && bound > 0 ? Math.min(bound, 8_192) : ANSWER_TOKENS;
  const media = images + audios;
  // Inline media make the line long without making the prompt long.
  const text = media > 0 ? 64 : Math.ceil(lineBytes / 4);
  return { lane: media > 0 ? 'media' : 'text', tokens: text + images * IMAGE_TOKENS + audios * AUDIO_TOKENS + answer };
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
