import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLimit, openDocument } from '@batchmill/media';
import { z } from 'zod';
import type { BenchOptions } from './main.ts';
import { audioFigures } from './media-audio.ts';
import { measured } from './memory.ts';
import { samplePdf } from './sample-pdf.ts';

/**
 * Media preparation alone, without engine, queue and bucket: `pages_per_s`, A4 pages of a PDF rendered at 200 dpi, looked
 * through for lines, scaled and made PNG; `audio_x_realtime`, see `media-audio.ts`; `peak_rss_mb`, the most memory taken in
 * either, on a PDF of 2,000 pages and a recording of four hours.
 */
export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const pages = await pageFigures(options.items ?? (options.quick ? 60 : 2_000));
  const audio = await audioFigures({ quick: options.quick });
  return {
    pages_per_s: pages.pages_per_s,
    audio_x_realtime: audio.audio_x_realtime,
    peak_rss_mb: Math.max(pages.peak_rss_mb, audio.peak_rss_mb),
  };
}

async function pageFigures(count: number): Promise<{ pages_per_s: number; peak_rss_mb: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'batchmill-bench-'));
  try {
    const path = join(folder, 'long.pdf');
    await writeFile(path, await samplePdf(count));
    const { found, peak } = await measured(fileURLToPath(import.meta.url), [path], Found);
    process.stderr.write(`${found.pages} pages in ${found.took.toFixed(1)} s, at most ${(peak / 1e6).toFixed(0)} MB\n`);
    return {
      pages_per_s: Number((found.pages / found.took).toFixed(2)),
      peak_rss_mb: Math.round(peak / 1e6),
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

const Found = z.object({ pages: z.number(), took: z.number() });

/** As a worker does it: so many pages under way as keep its threads busy, each let go at once. */
async function prepareAll(path: string): Promise<z.infer<typeof Found>> {
  const { signal } = new AbortController();
  const document = await openDocument(path, { maxPages: 100_000, signal });
  const limit = createLimit(2 * availableParallelism());
  const started = performance.now();
  await Promise.all(
    Array.from({ length: document.pages }, (_, i) =>
      // Nothing is returned: the pages would be kept until the last.
      limit(async () => {
        await document.prepare(i, { dpi: 200, maxTokens: 1_120, tileLines: null }, signal);
      }),
    ),
  );
  return { pages: document.pages, took: (performance.now() - started) / 1_000 };
}

if (import.meta.main) {
  process.stdout.write(JSON.stringify(await prepareAll(process.argv[2] ?? '')));
  process.exit(0);
}
