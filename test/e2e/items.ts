import { wav as tone } from '../../packages/engine/src/samples.ts';

/** Lines for batches in tests: good ones of every kind, and every kind of bad one. */

export interface Line {
  custom_id: string;
  method: 'POST';
  url: string;
  body: Record<string, unknown>;
}

export function chat(customId: string, content: unknown, over: Record<string, unknown> = {}): Line {
  return {
    custom_id: customId,
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model: 'default', messages: [{ role: 'user', content }], max_tokens: 12, temperature: 0, ...over },
  };
}

export function jsonl(lines: Line[]): string {
  return lines.map((line) => JSON.stringify(line)).join('\n');
}

/** A recording of a tone; `seconds` may be 0. */
export const wav = (seconds: number): Buffer => Buffer.from(tone(seconds, 440));

export const image = (png: Buffer) => ({
  type: 'image_url',
  image_url: { url: `data:image/png;base64,${png.toString('base64')}` },
});
export const audio = (bytes: Buffer) => ({
  type: 'input_audio',
  input_audio: { data: bytes.toString('base64'), format: 'wav' },
});
export const text = (words: string) => ({ type: 'text', text: words });
