import { once } from 'node:events';
import { createWriteStream } from 'node:fs';

/** Writes a JSONL of `items` chat requests, each line filled up to about `lineBytes`. Gives the file's size in bytes. */
export async function writeInput(path: string, items: number, lineBytes = 0): Promise<number> {
  const out = createWriteStream(path);
  const filler = 'The record reads as follows and was taken from the archive on a rainy day. ';
  for (let i = 0; i < items; i++) {
    const line = (content: string) =>
      `${JSON.stringify({
        custom_id: `item-${i}`,
        method: 'POST',
        url: '/v1/chat/completions',
        body: { model: 'default', messages: [{ role: 'user', content }], max_tokens: 32, temperature: 0 },
      })}\n`;
    const question = `Summarise record ${i} in one sentence. `;
    const room = lineBytes - line(question).length;
    const text = room > 0 ? question + filler.repeat(Math.ceil(room / filler.length)).slice(0, room) : question;
    if (!out.write(line(text))) await once(out, 'drain');
  }
  out.end();
  await once(out, 'finish');
  return out.bytesWritten;
}
