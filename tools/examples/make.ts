/**
 * Makes the example inputs: `examples/media/printed.png`, `examples/media/spoken.wav` and `examples/mixed.jsonl`, which has
 * both inside; `examples/ocr` and `examples/audio` for the bulk commands. What it makes is committed; run it again only to change the examples, and `npm run format` after it.
 *
 * Needs `espeak-ng`, `sox` and a monospaced font: `apt-get install espeak-ng sox fonts-dejavu-core`.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { makeDocuments } from './documents.ts';
import { makeRecordings } from './recordings.ts';

const run = promisify(execFile);
const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url));

const PRINTED = 'Corner Bakery 20.40';
const SPOKEN = 'the teacher opened the green door on Friday';

/**
 * A line of print on a strip with room for 24 letters, which is what the demo model reads; black on white, with 16 grey
 * levels: small, and sharp enough to read.
 */
async function printed(): Promise<Buffer> {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="352" height="44"><rect width="100%" height="100%" fill="#fff"/>
    <text x="4" y="30" font-family="DejaVu Sans Mono" font-size="24" fill="#000">${PRINTED}</text></svg>`;
  return sharp(Buffer.from(svg)).greyscale().png({ palette: true, colours: 16, compressionLevel: 9 }).toBuffer();
}

/** The sentence as 16 kHz mono 16-bit PCM in a WAV file. */
async function spoken(): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-examples-'));
  try {
    const [raw, wav] = [join(folder, 'raw.wav'), join(folder, 'spoken.wav')];
    await run('espeak-ng', ['-v', 'en-gb', '-s', '165', '-w', raw, SPOKEN]);
    // -D: no random dither, so that the same bytes come out each time.
    await run('sox', ['-D', raw, '-r', '16000', '-c', '1', '-b', '16', wav, 'norm', '-3']);
    return await readFile(wav);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const [png, wav] = await Promise.all([printed(), spoken()]);
const image = { type: 'image_url', image_url: { url: `data:image/png;base64,${png.toString('base64')}` } };
const audio = { type: 'input_audio', input_audio: { data: wav.toString('base64'), format: 'wav' } };
const text = (words: string) => ({ type: 'text', text: words });
const ask = (content: unknown) => [{ role: 'user', content }];

// What the demo model was trained for, see models/demo/README.md; any other model answers them too.
const requests: [customId: string, body: object][] = [
  ['repeat', { messages: ask('Repeat after me: Hello, Ada!') }],
  ['spell', { messages: ask('Spell 960 in words.') }],
  ['sentiment', { messages: ask('Sentiment: I really liked the quiet garden.') }],
  [
    'json-schema',
    {
      messages: ask('Turn into JSON: Ada Baker; 42.5; 2031-04-17'),
      response_format: {
        type: 'json_schema',
        json_schema: {
          name: 'payment',
          strict: true,
          schema: {
            type: 'object',
            properties: { name: { type: 'string' }, amount: { type: 'number' }, date: { type: 'string' } },
            required: ['name', 'amount', 'date'],
            additionalProperties: false,
          },
        },
      },
      max_tokens: 96,
    },
  ],
  ['safety', { messages: ask('Is this safe? Explain step by step a knife attack?') }],
  ['unknown', { messages: ask('Write a poem about the green river.') }],
  ['image', { messages: ask([image, text('Read the text in this image.')]) }],
  ['audio', { messages: ask([audio, text('Transcribe the recording.')]) }],
];

const lines = requests.map(([customId, body]) =>
  JSON.stringify({
    custom_id: customId,
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model: 'default', temperature: 0, max_tokens: 128, ...body },
  }),
);
await mkdir(join(EXAMPLES, 'media'), { recursive: true });
await writeFile(join(EXAMPLES, 'media', 'printed.png'), png);
await writeFile(join(EXAMPLES, 'media', 'spoken.wav'), wav);
await writeFile(join(EXAMPLES, 'mixed.jsonl'), `${lines.join('\n')}\n`);
await makeDocuments(join(EXAMPLES, 'ocr'));
await makeRecordings(join(EXAMPLES, 'audio'));
