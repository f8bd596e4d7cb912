import type { PdfiumModule } from './pdfium-module.ts';

/** What a page of a PDF is made of, as far as it tells whether its text is all there is to read. */
export interface PageContent {
  /** How much of the page pictures cover: 0 to 1, where they overlap counted twice. */
  pictures: number;
  /** Lines, areas and shadings: drawn letters would be among them. */
  strokes: number;
  /** All objects. */
  objects: number;
}

/** FPDFPageObj_GetType (fpdf_edit.h). */
const [TEXT, IMAGE, FORM] = [1, 3, 5];
/** A page of a million strokes is not looked through to its end, nor are forms within forms. */
const MOST_OBJECTS = 10_000;
const MOST_DEPTH = 5;

/** Looks through the objects of a page, and of forms on it: scanners and programs that stamp pages put pictures into them. */
export function pageContent(module: PdfiumModule, page: number, pageArea: number): PageContent {
  const at = module.wasmExports.malloc(24);
  const content = { pictures: 0, strokes: 0, objects: 0 };
  const numbers = (count: number) => {
    const view = new DataView(module.HEAPU8.buffer, at, 24);
    return Array.from({ length: count }, (_, i) => view.getFloat32(4 * i, true));
  };
  /** `scale`: how much larger areas are on the page than in the form. */
  const look = (object: number, scale: number, depth: number): void => {
    content.objects++;
    const type = module._FPDFPageObj_GetType(object);
    if (type === FORM && depth < MOST_DEPTH) {
      const [a = 1, b = 0, c = 0, d = 1] = module._FPDFPageObj_GetMatrix(object, at) === 0 ? [] : numbers(4);
      const count = module._FPDFFormObj_CountObjects(object);
      for (let i = 0; i < count && content.objects < MOST_OBJECTS; i++)
        look(module._FPDFFormObj_GetObject(object, i), scale * Math.abs(a * d - b * c), depth + 1);
    } else if (type === IMAGE) {
      if (module._FPDFPageObj_GetBounds(object, at, at + 4, at + 8, at + 12) === 0) return;
      const [left = 0, bottom = 0, right = 0, top = 0] = numbers(4);
      content.pictures += (scale * Math.max(0, right - left) * Math.max(0, top - bottom)) / Math.max(1, pageArea);
    } else if (type !== TEXT) content.strokes++;
  };
  const count = module._FPDFPage_CountObjects(page);
  for (let i = 0; i < count && content.objects < MOST_OBJECTS; i++) look(module._FPDFPage_GetObject(page, i), 1, 0);
  module.wasmExports.free(at);
  return content;
}

/** Most characters whose places are looked at. */
const SAMPLE = 500;

/**
 * How much of a page's text lies outside of what is seen of it, 0 to 1, by a sample: notes of printers beside the cut, or
 * words to be found by searching.
 * @param textPage of FPDFText_LoadPage
 */
export function textOutside(module: PdfiumModule, page: number, textPage: number, characters: number): number {
  const at = module.wasmExports.malloc(32);
  try {
    if (module._FPDF_GetPageBoundingBox(page, at) === 0) return 0;
    const box = new DataView(module.HEAPU8.buffer, at, 16);
    // FS_RECTF: left, top, right, bottom.
    const [left = 0, top = 0, right = 0, bottom = 0] = [0, 4, 8, 12].map((offset) => box.getFloat32(offset, true));
    let seen = 0;
    let outside = 0;
    const step = Math.max(1, Math.floor(characters / SAMPLE));
    for (let i = 0; i < characters; i += step) {
      if (module._FPDFText_GetCharBox(textPage, i, at, at + 8, at + 16, at + 24) === 0) continue;
      const view = new DataView(module.HEAPU8.buffer, at, 32);
      const [from = 0, to = 0, low = 0, high = 0] = [0, 8, 16, 24].map((offset) => view.getFloat64(offset, true));
      // Made up by PDFium between words and lines.
      if (from === to && low === high) continue;
      seen++;
      const [x, y] = [(from + to) / 2, (low + high) / 2];
      if (x < left || x > right || y < Math.min(top, bottom) || y > Math.max(top, bottom)) outside++;
    }
    return seen === 0 ? 0 : outside / seen;
  } finally {
    module.wasmExports.free(at);
  }
}
