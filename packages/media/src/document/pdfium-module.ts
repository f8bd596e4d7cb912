import { readSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { PDFiumModule } from '@hyzyla/pdfium';

/** Functions that the WASM module has and the package's types leave out (fpdfview.h, fpdf_edit.h, fpdf_text.h). */
interface Untyped {
  _FPDF_LoadCustomDocument(access: number, password: number): number;
  _FPDF_GetPageBoundingBox(page: number, rectangle: number): number;
  _FPDFPageObj_GetBounds(object: number, left: number, bottom: number, right: number, top: number): number;
  _FPDFPageObj_GetMatrix(object: number, matrix: number): number;
  _FPDFFormObj_CountObjects(form: number): number;
  _FPDFFormObj_GetObject(form: number, index: number): number;
  _FPDFText_GetCharBox(page: number, index: number, left: number, right: number, bottom: number, top: number): number;
}
const UNTYPED = [
  '_FPDF_LoadCustomDocument',
  '_FPDF_GetPageBoundingBox',
  '_FPDFPageObj_GetBounds',
  '_FPDFPageObj_GetMatrix',
  '_FPDFFormObj_CountObjects',
  '_FPDFFormObj_GetObject',
  '_FPDFText_GetCharBox',
] as const satisfies (keyof Untyped)[];

type Typed = Awaited<ReturnType<typeof PDFiumModule>>;
export type PdfiumModule = Typed & Untyped;
const isWhole = (module: Typed): module is PdfiumModule => UNTYPED.every((name) => name in module);

/** A page may make PDFium take so much memory; what wants more is a bomb. Most take 30 MB, a scan of A3 at 600 dpi 350. */
const MOST_MEMORY = 768 * 2 ** 20;

const wasm = fileURLToPath(import.meta.resolve('@hyzyla/pdfium/pdfium.wasm'));
let compiled: Promise<WebAssembly.Module> | undefined;

export interface LoadedPdfium {
  module: PdfiumModule;
  /** Descriptors of the files it may read, by a number that no other file is ever given, as descriptors are. */
  files: Map<number, number>;
  /** Whether memory was refused since this was last asked: what PDFium has made since may lack parts. */
  refusedMemory(): boolean;
}

/** A new PDFium with memory of its own, never more than `MOST_MEMORY`, that reads documents from open files (`readBlock`). */
export async function loadPdfium(): Promise<LoadedPdfium> {
  compiled ??= readFile(wasm).then((bytes) => WebAssembly.compile(new Uint8Array(bytes)));
  const program = await compiled;
  let refused = false;
  const files = new Map<number, number>();
  const options = {
    instantiateWasm: (imports: WebAssembly.Imports, ready: (instance: WebAssembly.Instance) => void) => {
      const grow = imports.env?.emscripten_resize_heap;
      if (typeof grow !== 'function') throw new Error('this build of PDFium does not ask for memory');
      const bounded = (bytes: number) => {
        if (bytes >>> 0 <= MOST_MEMORY) return Number(grow(bytes));
        refused = true;
        return 0;
      };
      const instance = new WebAssembly.Instance(program, {
        ...imports,
        env: { ...imports.env, emscripten_resize_heap: bounded },
      });
      const { memory, __indirect_function_table: table } = instance.exports;
      if (!(memory instanceof WebAssembly.Memory) || !(table instanceof WebAssembly.Table))
        throw new Error('this build of PDFium shows no memory or no table');
      table.set(READ_BLOCK, blockReader(memory, files));
      ready(instance);
      return instance.exports;
    },
    // It would write to standard error what we throw.
    printErr: () => {},
  };
  const module = await PDFiumModule(options);
  if (!isWhole(module)) throw new Error('this build of PDFium lacks functions that are needed');
  module._FPDF_InitLibraryWithConfig({ version: 2, m_pIsolate: null, m_pUserFontPaths: null, m_v8EmbedderSlot: 0 });
  return {
    module,
    files,
    refusedMemory: () => {
      const was = refused;
      refused = false;
      return was;
    },
  };
}

/**
 * The place of `m_GetBlock` (FPDF_FILEACCESS in fpdfview.h) in the table of functions. The table is built so that it cannot
 * grow; its place 0 stands for the null pointer and is free, and PDFium does not look whether this one is null.
 */
export const READ_BLOCK = 0;

/** A WebAssembly module that does nothing but make a function of JavaScript one of WASM: (i32, i32, i32, i32) → i32. */
const ADAPTER = new Uint8Array([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x09, 0x01, 0x60, 0x04, 0x7f, 0x7f, 0x7f, 0x7f, 0x01, 0x7f],
  ...[0x02, 0x07, 0x01, 0x01, 0x65, 0x01, 0x66, 0x00, 0x00],
  ...[0x07, 0x05, 0x01, 0x01, 0x66, 0x00, 0x00],
]);

/** PDFium asks for a few bytes at a time when it looks through a file: so much is read for it at once. */
const AHEAD = 65_536;

/** Reads from one of `files`, by its number, into PDFium's memory: 1, or 0 if that much is not there. */
function blockReader(memory: WebAssembly.Memory, files: ReadonlyMap<number, number>) {
  const ahead = { number: -1, at: 0, bytes: Buffer.alloc(AHEAD), length: 0 };
  const read = (number: number, signedAt: number, to: number, signedSize: number): number => {
    const at = signedAt >>> 0;
    const size = signedSize >>> 0;
    const target = new Uint8Array(memory.buffer, to >>> 0, size);
    const file = files.get(number);
    if (file === undefined) return 0;
    try {
      if (size > AHEAD) return readFully(file, target, at) === size ? 1 : 0;
      if (number !== ahead.number || at < ahead.at || at + size > ahead.at + ahead.length) {
        ahead.number = number;
        ahead.at = at;
        ahead.length = readFully(file, ahead.bytes, at);
        if (size > ahead.length) return 0;
      }
      target.set(ahead.bytes.subarray(at - ahead.at, at - ahead.at + size));
      return 1;
    } catch {
      // The file has gone: PDFium takes it as cut off.
      return 0;
    }
  };
  const { f } = new WebAssembly.Instance(new WebAssembly.Module(ADAPTER), { e: { f: read } }).exports;
  return f;
}

function readFully(file: number, into: Uint8Array, at: number): number {
  let length = 0;
  while (length < into.length) {
    const got = readSync(file, into, length, into.length - length, at + length);
    if (got === 0) break;
    length += got;
  }
  return length;
}
