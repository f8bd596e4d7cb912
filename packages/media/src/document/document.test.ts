import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateSync } from 'node:zlib';
import { degrees, PDFDocument, PDFName } from 'pdf-lib';
import PdfKit from 'pdfkit';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDocument } from './document.ts';
import type { PageOptions } from './page.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-document-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const { signal } = new AbortController();
const OPTIONS: PageOptions = { dpi: 100, maxTokens: 280, tileLines: null };
let files = 0;
const file = async (bytes: Uint8Array) => {
  const path = join(folder, `${files++}`);
  await writeFile(path, bytes);
  return path;
};
const open = async (bytes: Uint8Array, maxPages = 100) => openDocument(await file(bytes), { maxPages, signal });
const refusal = (code: string, message?: RegExp) =>
  expect.objectContaining({
    status: 400,
    code,
    ...(message === undefined ? {} : { message: expect.stringMatching(message) }),
  });

/** A PDF by pdfkit, A4 unless said otherwise. */
function pdf(draw: (doc: PDFKit.PDFDocument) => void, options: PDFKit.PDFDocumentOptions = {}): Promise<Buffer> {
  const doc = new PdfKit({ size: 'A4', ...options });
  const parts: Buffer[] = [];
  doc.on('data', (part: Buffer) => parts.push(part));
  const ended = new Promise<Buffer>((done) => doc.on('end', () => done(Buffer.concat(parts))));
  draw(doc);
  doc.end();
  return ended;
}
const PROSE = 'The quick brown fox jumps over the lazy dog, and comes back in the evening.';
const letter = (doc: PDFKit.PDFDocument) => doc.fontSize(14).text(`Dear reader\n${PROSE}\n${PROSE}`, 72, 72);
/** How dark a part of the first picture of a page is, 0 (white) to 255. */
async function ink(png: Uint8Array, part: { left: number; top: number; width: number; height: number }) {
  const { channels } = await sharp(await sharp(png).extract(part).greyscale().toBuffer()).stats();
  return 255 - (channels[0]?.mean ?? 255);
}

describe('a PDF', () => {
  it('is rendered page by page at the resolution asked for', async () => {
    const document = await open(
      await pdf((doc) =>
        letter(doc)
          .addPage({ size: [200, 100] })
          .rect(10, 10, 90, 20)
          .fill(),
      ),
    );
    expect(document).toMatchObject({ kind: 'pdf', type: 'application/pdf', pages: 2 });
    const [first, second] = await Promise.all([0, 1].map((i) => document.prepare(i, OPTIONS, signal)));
    expect(first).toMatchObject({ width: 827, height: 1169, dpi: 100 });
    expect(second).toMatchObject({ width: 278, height: 139, dpi: 100 });
    expect(first?.tiles).toHaveLength(1);
    const png = first?.tiles[0]?.data ?? new Uint8Array();
    const { width, height } = await sharp(png).metadata();
    expect([width % 48, height % 48, (width * height) / 48 ** 2 <= 280]).toEqual([0, 0, true]);
    // Written at the top, nothing below.
    expect(await ink(png, { left: 0, top: 0, width, height: Math.round(height / 4) })).toBeGreaterThan(1);
    expect(await ink(png, { left: 0, top: Math.round(height / 2), width, height: 100 })).toBe(0);
  });

  it('has a text layer that is good if the text is all there is', async () => {
    const document = await open(await pdf(letter));
    const layer = await document.textLayer(0, signal);
    expect(layer?.good).toBe(true);
    expect(layer?.text.replace(/\s+/g, ' ')).toBe(`Dear reader ${PROSE} ${PROSE}`);
    const photo = await sharp({ create: { width: 60, height: 80, channels: 3, background: '#888' } })
      .jpeg()
      .toBuffer();
    const scan = await open(await pdf((doc) => letter(doc.image(photo, 0, 0, { width: 595, height: 842 }))));
    expect(await scan.textLayer(0, signal)).toMatchObject({ good: false });
    const bare = await open(await pdf((doc) => doc.rect(100, 100, 50, 50).fill()));
    expect(await bare.textLayer(0, signal)).toBeNull();
  });

  it('has a text layer that is not trusted where it is not what the page shows', async () => {
    const photo = await sharp({ create: { width: 60, height: 80, channels: 3, background: '#888' } })
      .jpeg()
      .toBuffer();
    // As programs do that stamp or impose pages: the whole page, picture and all, becomes a form on another.
    const scan = await PDFDocument.load(await pdf((doc) => doc.image(photo, 0, 0, { width: 595, height: 842 })));
    const stamped = await PDFDocument.create();
    const [form] = await stamped.embedPages(scan.getPages());
    const page = stamped.addPage([595, 842]);
    if (form === undefined) throw new Error('no page to embed');
    page.drawPage(form);
    page.drawText(PROSE, { x: 20, y: 400, size: 10 });
    expect(await (await open(await stamped.save())).textLayer(0, signal)).toEqual({ text: PROSE, good: false });
    const drawn = await open(
      await pdf((doc) => {
        doc.fontSize(8).text(PROSE, 72, 72);
        for (let i = 0; i < 400; i++) doc.rect(20 * (i % 20), 200 + 20 * Math.floor(i / 20), 5, 9).fill();
      }),
    );
    expect(await drawn.textLayer(0, signal)).toMatchObject({ good: false });
    const hidden = await open(
      await pdf((doc) => doc.text(PROSE, 72, 72).text(PROSE, -2000, 100, { lineBreak: false })),
    );
    expect(await hidden.textLayer(0, signal)).toMatchObject({ good: false });
  });

  it('is blank where nothing is printed: no tiles', async () => {
    const document = await open(await pdf(() => {}));
    expect((await document.prepare(0, OPTIONS, signal)).tiles).toEqual([]);
  });

  it('is turned as its pages say', async () => {
    const turned = await PDFDocument.load(await pdf(letter));
    turned.getPage(0).setRotation(degrees(90));
    const document = await open(await turned.save());
    expect(await document.prepare(0, OPTIONS, signal)).toMatchObject({ width: 1169, height: 827 });
  });

  it('shows the fields of a filled form', async () => {
    const form = await PDFDocument.create();
    const page = form.addPage([300, 200]);
    const field = form.getForm().createTextField('name');
    field.setText('FILLED IN');
    field.addToPage(page, { x: 50, y: 80, width: 200, height: 40, borderWidth: 0 });
    const document = await open(await form.save());
    expect((await document.prepare(0, OPTIONS, signal)).tiles).toHaveLength(1);
  });

  it('is refused with a password, and taken with an owner password alone', async () => {
    await expect(open(await pdf(letter, { userPassword: 'secret' }))).rejects.toEqual(
      refusal('encrypted_document', /password/),
    );
    const owned = await open(await pdf(letter, { ownerPassword: 'owner', permissions: {} }));
    expect((await owned.prepare(0, OPTIONS, signal)).tiles).toHaveLength(1);
  });

  it('is refused if it is empty, damaged, of another kind, or too long', async () => {
    await expect(open(new Uint8Array())).rejects.toEqual(refusal('empty_document'));
    const whole = await pdf(letter);
    await expect(open(whole.subarray(0, 60))).rejects.toEqual(refusal('invalid_document'));
    await expect(open(Buffer.from('%PDF-1.7\nnothing of the kind'))).rejects.toEqual(refusal('invalid_document'));
    await expect(open(Buffer.from('just text'))).rejects.toEqual(refusal('unsupported_document', /unknown kind/));
    const three = await pdf((doc) => doc.addPage().addPage());
    await expect(open(three, 2)).rejects.toEqual(refusal('too_many_pages', /3 pages; at most 2/));
  });

  it('with a page that cannot be read delivers the others', async () => {
    const broken = await PDFDocument.load(await pdf((doc) => letter(letter(doc).addPage())));
    // The page tree counts two pages, the second of which is no page.
    const pages = broken.catalog.Pages();
    pages.Kids().set(1, broken.context.obj(42));
    const document = await open(await broken.save({ useObjectStreams: false }));
    expect(document.pages).toBe(2);
    expect((await document.prepare(0, OPTIONS, signal)).tiles).toHaveLength(1);
    await expect(document.prepare(1, OPTIONS, signal)).rejects.toEqual(refusal('invalid_page', /is damaged/));
    expect((await document.prepare(0, OPTIONS, signal)).tiles).toHaveLength(1);
  });

  it('of a huge page is rendered at a lower resolution', async () => {
    const document = await open(await pdf((doc) => doc.fontSize(400).text('A wall', 0, 0), { size: [14_000, 14_000] }));
    const page = await document.prepare(0, { ...OPTIONS, dpi: 600, maxPixels: 4_000_000 }, signal);
    expect(page.width * page.height).toBeLessThan(4_100_000);
    expect(page.dpi).toBeLessThan(20);
  });

  it('that wants more memory than a page may have is refused for that page alone', async () => {
    const bomb = await PDFDocument.load(await pdf((doc) => letter(letter(doc).addPage())));
    // Each state saved takes memory, and none is ever restored.
    const states = deflateSync(Buffer.alloc(20_000_000, 'q '));
    const stream = bomb.context.stream(states, { Filter: 'FlateDecode' });
    bomb.getPage(0).node.set(PDFName.of('Contents'), bomb.context.register(stream));
    const document = await open(await bomb.save());
    const before = process.memoryUsage.rss();
    let peak = 0;
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage.rss() - before);
    }, 10);
    try {
      await expect(document.prepare(0, OPTIONS, signal)).rejects.toEqual(refusal('invalid_page', /memory/));
      expect((await document.prepare(1, OPTIONS, signal)).tiles).toHaveLength(1);
    } finally {
      clearInterval(watch);
    }
    // PDFium by itself would take 2 GB, and would keep what it has.
    expect(peak).toBeLessThan(1.1e9);
    expect(process.memoryUsage.rss() - before).toBeLessThan(0.5e9);
  });

  it('that takes too long costs that page and no other', async () => {
    const path = await file(
      await pdf((doc) => {
        doc.fillOpacity(0.01);
        for (let i = 0; i < 20_000; i++) doc.circle(300, 400, 290 + (i % 7)).fill();
        letter(doc.fillOpacity(1).addPage());
      }),
    );
    const patient = await openDocument(path, { maxPages: 2, signal });
    const hasty = await openDocument(path, { maxPages: 2, maxSeconds: 2, signal });
    const [slow, quick] = await Promise.allSettled([
      hasty.prepare(0, { ...OPTIONS, dpi: 300 }, signal),
      patient.prepare(1, { ...OPTIONS, dpi: 300 }, signal),
    ]);
    expect(slow).toEqual({ status: 'rejected', reason: refusal('invalid_page', /longer than 2 s/) });
    expect(quick).toMatchObject({ status: 'fulfilled', value: { tiles: [{ top: 0 }] } });
  });

  it('of many pages stays open from page to page', async () => {
    const document = await open(
      await pdf((doc) => {
        for (let i = 0; i < 40; i++) letter(i === 0 ? doc : doc.addPage());
      }),
    );
    const pages = await Promise.all(Array.from({ length: 40 }, (_, i) => document.prepare(i, OPTIONS, signal)));
    expect(pages.every((p) => p.tiles.length === 1)).toBe(true);
  });

  it('stops with the signal', async () => {
    const document = await open(await pdf(letter));
    const reason = new Error('cancelled');
    await expect(document.prepare(0, OPTIONS, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});

describe('a picture', () => {
  const lines = (width: number, height: number) =>
    sharp({ create: { width, height, channels: 3, background: '#fff' } }).composite([
      {
        input: { create: { width: width - 40, height: 12, channels: 3, background: '#000' } },
        left: 20,
        top: 30,
      },
    ]);

  it('is a document of one page, upright', async () => {
    const bytes = await lines(400, 300).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const document = await open(bytes);
    expect(document).toMatchObject({ kind: 'image', type: 'image/jpeg', pages: 1 });
    expect(await document.textLayer(0, signal)).toBeNull();
    expect(await document.prepare(0, OPTIONS, signal)).toMatchObject({ width: 300, height: 400, dpi: null });
  });

  it('of several frames is several pages if it is a TIFF', async () => {
    const page = async (height: number) => lines(200, height).png().toBuffer();
    const frames = await Promise.all([page(120), page(120), page(120)]);
    const tiff = await sharp(frames, { join: { animated: true } })
      .tiff()
      .toBuffer();
    const document = await open(tiff);
    expect(document.pages).toBe(3);
    expect(await document.prepare(2, OPTIONS, signal)).toMatchObject({ width: 200, height: 120 });
    const gif = await sharp(frames, { join: { animated: true } })
      .gif()
      .toBuffer();
    expect((await open(gif)).pages).toBe(1);
  });

  it('is taken from a phone', async () => {
    const path = fileURLToPath(new URL('fixtures/phone.heic', import.meta.url));
    const document = await openDocument(path, { maxPages: 1, signal });
    const page = await document.prepare(0, OPTIONS, signal);
    expect(page).toMatchObject({ width: 320, height: 160 });
    const png = page.tiles[0]?.data ?? new Uint8Array();
    const { width, height } = await sharp(png).metadata();
    const { data } = await sharp(png)
      .extract({ left: Math.round(width * 0.2), top: Math.round(height * 0.25), width: 1, height: 1 })
      .raw()
      .toBuffer({ resolveWithObject: true });
    // Red, not blue.
    expect((data[0] ?? 0) > 150 && (data[2] ?? 255) < 90).toBe(true);
    const small = await document.prepare(0, { ...OPTIONS, maxPixels: 12_800 }, signal);
    expect([small.width, small.height, small.tiles.length]).toEqual([160, 80, 1]);
  });

  it('is refused if it is cut off or has too many pixels', async () => {
    const whole = await lines(800, 600).jpeg().toBuffer();
    const half = await open(whole.subarray(0, whole.length / 2));
    await expect(half.prepare(0, OPTIONS, signal)).rejects.toEqual(refusal('invalid_page', /cut off/));
    await expect(open(Buffer.concat([whole.subarray(0, 3), Buffer.alloc(40)]))).rejects.toEqual(
      refusal('invalid_document', /damaged/),
    );
    const bomb = await sharp({ create: { width: 14_000, height: 11_000, channels: 3, background: '#fff' } })
      .png()
      .toBuffer();
    const document = await open(bomb);
    await expect(document.prepare(0, OPTIONS, signal)).rejects.toEqual(refusal('invalid_page', /14000/));
  });

  it('of more pixels than a page is read at is scaled down', async () => {
    const document = await open(await lines(2000, 1000).jpeg().toBuffer());
    const page = await document.prepare(0, { ...OPTIONS, maxPixels: 500_000 }, signal);
    expect([page.width, page.height, page.tiles.length]).toEqual([1000, 500, 1]);
  });
});
