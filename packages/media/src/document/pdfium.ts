import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { PDFiumModule } from '@hyzyla/pdfium';

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

type Module = Awaited<ReturnType<typeof PDFiumModule>>;
/** Functions that the WASM module has and its types leave out. */
type Bounds = { _FPDFPageObj_GetBounds(object: number, l: number, b: number, r: number, t: number): number };
const hasBounds = (module: Module): module is Module & Bounds => '_FPDFPageObj_GetBounds' in module;

/** FPDF_GetLastError (fpdfview.h). */
const PASSWORD = 4;
/** FPDFPageObj_GetType. */
const IMAGE = 3;
/** FPDF_ANNOT: annotations too. FPDF_REVERSE_BYTE_ORDER: RGBA instead of BGRA. */
const RENDER_FLAGS = 0x01 | 0x10;
const FORM_FLAGS = 0x10;
const BGRX = 3;
const POINTS_PER_INCH = 72;

const wasm = fileURLToPath(import.meta.resolve('@hyzyla/pdfium/pdfium.wasm'));

/**
 * PDFium, compiled to WASM, with documents and pages by its C interface: the package's own classes tell neither why a file
 * cannot be opened nor where on a page its pictures are. Its memory grows with what it reads and never shrinks: see
 * `memory`. Not for two threads.
 */
export class Pdfium {
  readonly #module: Module & Bounds;

  private constructor(module: Module & Bounds) {
    this.#module = module;
  }

  static async load(): Promise<Pdfium> {
    const file = await readFile(wasm);
    const wasmBinary = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength);
    const module = await PDFiumModule({ wasmBinary });
    if (!hasBounds(module)) throw new Error('this build of PDFium lacks FPDFPageObj_GetBounds');
    module._FPDF_InitLibraryWithConfig({ version: 2, m_pIsolate: null, m_pUserFontPaths: null, m_v8EmbedderSlot: 0 });
    return new Pdfium(module);
  }

  /** Bytes of memory it has taken. */
  get memory(): number {
    return this.#module.HEAPU8.length;
  }

  /** @throws PdfError */
  open(bytes: Uint8Array): PdfDocument {
    const module = this.#module;
    const at = module.wasmExports.malloc(bytes.length);
    if (at === 0) throw new PdfError('memory', 'the document is too large');
    module.HEAPU8.set(bytes, at);
    const handle = module._FPDF_LoadMemDocument(at, bytes.length, 0);
    if (handle === 0) {
      const code = module._FPDF_GetLastError();
      module.wasmExports.free(at);
      throw code === PASSWORD
        ? new PdfError('encrypted', 'it needs a password')
        : new PdfError('damaged', 'it is damaged or no PDF');
    }
    return new PdfDocument(module, handle, at);
  }
}

export class PdfDocument {
  readonly #module: Module & Bounds;
  readonly #handle: number;
  readonly #bytes: number;
  #form: { handle: number; info: number } | null = null;
  readonly pages: number;

  constructor(module: Module & Bounds, handle: number, bytes: number) {
    this.#module = module;
    this.#handle = handle;
    this.#bytes = bytes;
    this.pages = module._FPDF_GetPageCount(handle);
  }

  /**
   * Does something with one page, counted from 0.
   * @throws PdfError if the page cannot be read
   */
  page<T>(index: number, work: (page: PdfPage) => T): T {
    const module = this.#module;
    const handle = module._FPDF_LoadPage(this.#handle, index);
    if (handle === 0) throw new PdfError('damaged', 'the page cannot be read');
    try {
      return work(new PdfPage(module, handle, () => this.#formHandle()));
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
    module.wasmExports.free(this.#bytes);
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
  readonly #module: Module & Bounds;
  readonly #handle: number;
  readonly #form: () => number;
  /** In points of 1/72 inch, as it is turned to be read. */
  readonly width: number;
  readonly height: number;

  constructor(module: Module & Bounds, handle: number, form: () => number) {
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

  /** The text that the file says is on the page, in the file's order. */
  text(): string {
    const module = this.#module;
    const page = module._FPDFText_LoadPage(this.#handle);
    if (page === 0) return '';
    const count = module._FPDFText_CountChars(page);
    const at = count > 0 ? module.wasmExports.malloc((count + 1) * 2) : 0;
    try {
      if (at === 0) return '';
      const written = module._FPDFText_GetText(page, 0, count, at);
      return Buffer.from(module.HEAPU8.buffer, at, Math.max(0, written - 1) * 2).toString('utf16le');
    } finally {
      if (at !== 0) module.wasmExports.free(at);
      module._FPDFText_ClosePage(page);
    }
  }

  /** What the page is made of: how much of it pictures cover (0 to 1, where they overlap counted twice), and all objects. */
  content(): { pictures: number; objects: number } {
    const module = this.#module;
    const objects = module._FPDFPage_CountObjects(this.#handle);
    const at = module.wasmExports.malloc(16);
    let area = 0;
    // A page of a million strokes is not looked through for pictures.
    for (let i = 0; i < Math.min(objects, 10_000); i++) {
      const object = module._FPDFPage_GetObject(this.#handle, i);
      if (module._FPDFPageObj_GetType(object) !== IMAGE) continue;
      if (module._FPDFPageObj_GetBounds(object, at, at + 4, at + 8, at + 12) === 0) continue;
      const view = new DataView(module.HEAPU8.buffer, at, 16);
      const [left = 0, bottom = 0, right = 0, top = 0] = [0, 4, 8, 12].map((o) => view.getFloat32(o, true));
      area += Math.max(0, right - left) * Math.max(0, top - bottom);
    }
    module.wasmExports.free(at);
    return { pictures: area / Math.max(1, this.width * this.height), objects };
  }
}
