import { createReadStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { makePdf, type PdfPage, type StandardFont } from '../tools/examples/pdf.ts';
import { pick, randomFrom } from '../tools/examples/random.ts';
import { sentence } from '../tools/examples/sentences.ts';
import { heldOutRates, round } from './demo-model.ts';
import { type DemoService, startDemoService, withFolder } from './demo-service.ts';
import { characterErrorRate, wordErrorRate } from './error-rates.ts';
import type { BenchOptions } from './main.ts';

/**
 * Whether documents and recordings lose anything on their way to the model and back: `cer`, the character error rate over a
 * PDF of 50 pages that the service renders, cuts into pictures of single lines and joins (`/v1/ocr`, without the text layer),
 * and `wer`, the word error rate over a recording of ten minutes that it cuts in silence (`/v1/audio/transcriptions`). `cer_ratio` and
 * `wer_ratio` hold them against what the same model makes of single held-out lines and sentences (`demo-model`): more than 1.5
 * would mean that the pipeline adds errors of its own.
 */
const PAGES = 50;
/** A6 in points; the longest line fits in each font. */
const PAGE = { width: 298, height: 420, left: 24, top: 44, pitch: 30 };
const LINES = 12;
const LONGEST = 24;
/** A set too small to find a lower rate in. */
const LEAST = 0.001;
const FONTS: readonly (readonly [StandardFont, number])[] = [
  ['Helvetica', 20],
  ['Helvetica-Bold', 19],
  ['Times-Roman', 22],
  ['Courier', 17],
];
const AUDIO = fileURLToPath(new URL('../examples/audio/', import.meta.url));

const OcrAnswer = z.object({ pages: z.array(z.object({ markdown: z.string(), error: z.unknown().optional() })) });
const Transcript = z.object({ text: z.string() });

export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const pages = options.items ?? (options.quick ? 5 : PAGES);
  const service = await startDemoService();
  try {
    const heldOut = await heldOutRates(service, options);
    process.stderr.write(`held out: ${JSON.stringify(heldOut)}\n`);
    const cer = await readPages(service, pages);
    const wer = await hearRecording(service, options.quick ? 'call' : 'ten-minutes');
    return {
      cer: round(cer),
      wer: round(wer),
      cer_ratio: round(cer / Math.max(heldOut.cer_line, LEAST)),
      wer_ratio: round(wer / Math.max(heldOut.wer, LEAST)),
      pages,
    };
  } finally {
    await service.stop();
  }
}

/** Character error rate over so many pages of print, read as one PDF. */
export async function readPages(service: DemoService, count: number): Promise<number> {
  const texts = Array.from({ length: count }, (_, i) => linesOfPage(i));
  return withFolder(async (folder) => {
    const path = join(folder, 'pages.pdf');
    await writeFile(path, makePdf(texts.map(pageOf)));
    const file = await service.client.files.create({ file: createReadStream(path), purpose: 'user_data' });
    const body = { document: { type: 'file', file_id: file.id }, text_layer: 'ignore', max_tokens: 512 };
    const answer = OcrAnswer.parse((await service.answers('/v1/ocr', [{ id: 'pages', body }])).get('pages'));
    const pairs = texts.map((lines, i) => ({
      expected: lines.join('\n'),
      got: plain(answer.pages[i]?.markdown ?? ''),
    }));
    return characterErrorRate(pairs);
  });
}

function pageOf(lines: readonly string[], index: number): PdfPage {
  const [font, size] = FONTS[index % FONTS.length] ?? ['Helvetica', 20];
  return {
    width: PAGE.width,
    height: PAGE.height,
    font,
    lines: lines.map((text, i) => ({ text, x: PAGE.left, y: PAGE.top + i * PAGE.pitch, size })),
  };
}

/** Words, numbers and dates, in lines of at most 24 characters. */
function linesOfPage(index: number): string[] {
  const random = randomFrom(1_000 + index);
  return Array.from({ length: LINES }, () => {
    const words = random() < 0.7 ? sentence(random).split(' ') : [...amounts(random)];
    let line = words.shift() ?? '';
    for (const word of words) if (line.length + 1 + word.length <= LONGEST) line += ` ${word}`;
    return line;
  });
}

function* amounts(random: () => number): Generator<string> {
  const digits = (n: number) => String(Math.floor(random() * 10 ** n)).padStart(n, '0');
  for (let i = 0; i < 4; i++)
    yield pick(random, [
      `${digits(2)}/${digits(2)}/20${digits(2)}`,
      `${digits(3)}.${digits(2)}`,
      digits(4),
      'Total',
      'Invoice',
    ]);
}

/** What was printed, from Markdown: its escapes and marks taken away. */
function plain(markdown: string): string {
  return markdown.replace(/\\([!-/:-@[-`{-~])/g, '$1');
}

/** Word error rate over a recording of `examples/audio`. */
export async function hearRecording(service: DemoService, name: string): Promise<number> {
  const file = await service.client.files.create({
    file: createReadStream(join(AUDIO, `${name}.ogg`)),
    purpose: 'user_data',
  });
  const body = { file_id: file.id, response_format: 'text', max_tokens: 64 };
  const answer = Transcript.parse((await service.answers('/v1/audio/transcriptions', [{ id: name, body }])).get(name));
  const expected = (await readFile(join(AUDIO, `${name}.txt`), 'utf8')).replace(/^(agent|customer): /gm, '');
  return wordErrorRate([{ expected, got: answer.text }]);
}
