/** What is used of libfvad's C interface (include/fvad.h); the package has no types of its own. */
declare module '@echogarden/fvad-wasm' {
  interface Fvad {
    HEAP16: Int16Array;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    _fvad_new(): number;
    _fvad_free(instance: number): void;
    /** 0 is the least, 3 the most reluctant to call something speech. */
    _fvad_set_mode(instance: number, mode: number): number;
    /** Hz. */
    _fvad_set_sample_rate(instance: number, rate: number): number;
    /** 1: speech, 0: none, −1: a length that is not 10, 20 or 30 ms. */
    _fvad_process(instance: number, samples: number, length: number): number;
  }
  export default function fvad(): Promise<Fvad>;
}
