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

/** 16-bit mono WAV of a tone; `seconds` may be 0. */
export function wav(seconds: number, rate = 16_000): Buffer {
  const samples = Math.round(seconds * rate);
  const data = Buffer.alloc(44 + samples * 2);
  data.write('RIFF', 0);
  data.writeUInt32LE(36 + samples * 2, 4);
  data.write('WAVEfmt ', 8);
  data.writeUInt32LE(16, 16);
  data.writeUInt16LE(1, 20);
  data.writeUInt16LE(1, 22);
  data.writeUInt32LE(rate, 24);
  data.writeUInt32LE(rate * 2, 28);
  data.writeUInt16LE(2, 32);
  data.writeUInt16LE(16, 34);
  data.write('data', 36);
  data.writeUInt32LE(samples * 2, 40);
  for (let i = 0; i < samples; i++)
    data.writeInt16LE(Math.round(8_000 * Math.sin((2 * Math.PI * 440 * i) / rate)), 44 + i * 2);
  return data;
}

export const image = (png: Buffer) => ({
  type: 'image_url',
  image_url: { url: `data:image/png;base64,${png.toString('base64')}` },
});
export const audio = (bytes: Buffer) => ({
  type: 'input_audio',
  input_audio: { data: bytes.toString('base64'), format: 'wav' },
});
export const text = (words: string) => ({ type: 'text', text: words });
