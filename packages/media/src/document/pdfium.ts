import { closeSync, fstatSync, openSync } from 'node:fs';
import { type PageContent, pageContent, textOutside } from './page-content.ts';
import { type LoadedPdfium, loadPdfium, type PdfiumModule, READ_BLOCK } from './pdfium-module.ts';

/** RGBA, 8 bit, row by row; alpha is 255. */
export interface Pixels {
  data: Uint8Array;
  width: number;
  height: number;
}

/** Why a file is no PDF that can be read. */
export class PdfError extends Error {
  override readonly name = 'PdfError';
  readonly reason: 'damaged' | 'encrypted' | 'memory';
  constructor(reason: 'damaged' | 'encrypted' | 'memory', message: string) {
    super(message);
    this.reason = reason;
  }
}

const TOO_MUCH_MEMORY = 'it takes more memory than a page may have';

/** FPDF_GetLastError (fpdfview.h). */
const PASSWORD = 4;
/** FPDF_ANNOT: annotations too. FPDF_REVERSE_BYTE_ORDER: RGBA instead of BGRA. */
const RENDER_FLAGS = 0x01 | 0x10;
const FORM_FLAGS = 0x10;
const BGRX = 3;
const POINTS_PER_INCH = 72;

/**
 * PDFium, compiled to WASM, with documents and pages by its C interface: the package's own classes tell neither why a file
 * cannot be opened nor where on a page its pictures are, and want the whole file in memory. Its memory grows with what it
 * reads and never shrinks: see `memory`. Not for two threads.
 */
export class Pdfium {
  readonly #loaded: LoadedPdfium;
  #opened = 0;

  private constructor(loaded: LoadedPdfium) {
    this.#loaded = loaded;
  }

  static async load(): Promise<Pdfium> {
    return new Pdfium(await loadPdfium());
  }

  /** Bytes of memory it has taken. */
  get memory(): number {
    return this.#loaded.module.HEAPU8.length;
  }

  /** Opens a file, which stays open and is read as its pages are. @throws PdfError */
  open(path: string): PdfDocument {
    const { module, files } = this.#loaded;
    const file = openSync(path, 'r');
    const number = ++this.#opened;
    files.set(number, file);
    // FPDF_FILEACCESS (fpdfview.h): length, function that reads a block, and what it is given first.
    const access = module.wasmExports.malloc(12);
    const release = () => {
      module.wasmExports.free(access);
      files.delete(number);
      closeSync(file);
    };
    const { size } = fstatSync(file);
    const view = new DataView(module.HEAPU8.buffer, access, 12);
    view.setUint32(0, size, true);
    view.setUint32(4, READ_BLOCK, true);
    view.setUint32(8, number, true);
    // Lengths are of 32 bits.
    const handle = size < 2 ** 31 ? module._FPDF_LoadCustomDocument(access, 0) : 0;
    if (handle === 0) {
      const code = module._FPDF_GetLastError();
      release();
      if (size >= 2 ** 31) throw new PdfError('memory', 'the document has more than 2 GB');
      throw code === PASSWORD
        ? new PdfError('encrypted', 'it needs a password')
        : new PdfError('damaged', 'it is damaged or no PDF');
    }
    return new PdfDocument(this.#loaded, handle, release);
  }

  /**
   * After a trap nothing of it can be used: closes its files without asking it for anything.
   * @returns why there was a trap.
   */
  abandon(): PdfError {
    const { files } = this.#loaded;
    for (const file of files.values()) closeSync(file);
    files.clear();
    return this.#loaded.refusedMemory()
      ? new PdfError('memory', TOO_MUCH_MEMORY)
      : new PdfError('damaged', 'it is damaged');
  }
}

export class PdfDocument {
  readonly #loaded: LoadedPdfium;
  readonly #module: PdfiumModule;
  readonly #handle: number;
  readonly #release: () => void;
  #form: { handle: number; info: number } | null = null;
  readonly pages: number;

  constructor(loaded: LoadedPdfium, handle: number, release: () => void) {
    this.#loaded = loaded;
    this.#module = loaded.module;
    this.#handle = handle;
    this.#release = release;
    this.pages = loaded.module._FPDF_GetPageCount(handle);
  }

  /**
   * Does something with one page, counted from 0.
   * @throws PdfError if the page cannot be read
   */
  page<T>(index: number, work: (page: PdfPage) => T): T {
    const module = this.#module;
    this.#loaded.refusedMemory();
    const handle = module._FPDF_LoadPage(this.#handle, index);
    if (handle === 0) throw new PdfError('damaged', 'it is damaged');
    try {
      const made = work(new PdfPage(module, handle, () => this.#formHandle()));
      // A picture there was no memory for is left out without a word, and the page would count as blank.
      if (this.#loaded.refusedMemory()) throw new PdfError('memory', TOO_MUCH_MEMORY);
      return made;
    } finally {
      module._FPDF_ClosePage(handle);
    }
  }

  close(): void {
    const module = this.#module;
    if (this.#form !== null) {
      module._FPDFDOC_ExitFormFillEnvironment(this.#form.handle);
      module.wasmExports.free(this.#form.info);
    }
    module._FPDF_CloseDocument(this.#handle);
    this.#release();
  }

  /** What draws the fields of filled forms; 0 if it cannot be had. */
  #formHandle(): number {
    if (this.#form === null) {
      const module = this.#module;
      // FPDF_FORMFILLINFO: a version number and callbacks, none of which are needed to draw. 140 bytes in version 2.
      const info = module.wasmExports.malloc(256);
      module.HEAPU8.fill(0, info, info + 256);
      module.HEAPU8[info] = 2;
      this.#form = { handle: module._FPDFDOC_InitFormFillEnvironment(this.#handle, info), info };
    }
    return this.#form.handle;
  }
}

export class PdfPage {
  readonly #module: PdfiumModule;
  readonly #handle: number;
  readonly #form: () => number;
  /** In points of 1/72 inch, as it is turned to be read. */
  readonly width: number;
  readonly height: number;

  constructor(module: PdfiumModule, handle: number, form: () => number) {
    this.#module = module;
    this.#handle = handle;
    this.#form = form;
    this.width = module._FPDF_GetPageWidth(handle);
    this.height = module._FPDF_GetPageHeight(handle);
  }

  /** The page on white, at `dpi`. @throws PdfError if there is no memory for it */
  render(dpi: number): Pixels {
    const module = this.#module;
    const width = Math.max(1, Math.round((this.width * dpi) / POINTS_PER_INCH));
    const height = Math.max(1, Math.round((this.height * dpi) / POINTS_PER_INCH));
    const size = width * height * 4;
    const at = module.wasmExports.malloc(size);
    if (at === 0) throw new PdfError('memory', 'the page is too large');
    let bitmap = 0;
    try {
      bitmap = module._FPDFBitmap_CreateEx(width, height, BGRX, at, width * 4);
      module._FPDFBitmap_FillRect(bitmap, 0, 0, width, height, 0xffffffff);
      module._FPDF_RenderPageBitmap(bitmap, this.#handle, 0, 0, width, height, 0, RENDER_FLAGS);
      const form = this.#form();
      if (form !== 0) module._FPDF_FFLDraw(form, bitmap, this.#handle, 0, 0, width, height, 0, FORM_FLAGS);
      // A copy: the memory below belongs to the module.
      return { data: module.HEAPU8.slice(at, at + size), width, height };
    } finally {
      if (bitmap !== 0) module._FPDFBitmap_Destroy(bitmap);
      module.wasmExports.free(at);
    }
  }

  /** The text that the file says is on the page, in the file's order, and the share of it that lies outside of the page. */
  text(): { text: string; outside: number } {
    const module = this.#module;
    const page = module._FPDFText_LoadPage(this.#handle);
    if (page === 0) return { text: '', outside: 0 };
    const count = module._FPDFText_CountChars(page);
    const at = count > 0 ? module.wasmExports.malloc((count + 1) * 2) : 0;
    try {
      if (at === 0) return { text: '', outside: 0 };
      const written = module._FPDFText_GetText(page, 0, count, at);
      const text = Buffer.from(module.HEAPU8.buffer, at, Math.max(0, written - 1) * 2).toString('utf16le');
      return { text, outside: textOutside(module, this.#handle, page, count) };
    } finally {
      if (at !== 0) module.wasmExports.free(at);
      module._FPDFText_ClosePage(page);
    }
  }

  /** What the page is made of. */
  content(): PageContent {
    return pageContent(this.#module, this.#handle, this.width * this.height);
  }
}
