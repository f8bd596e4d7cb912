/** What we use of heic-decode 2.1; @types/heic-decode leaves out the sizes and `dispose`. */
declare module 'heic-decode' {
  interface Picture {
    width: number;
    height: number;
    decode(): Promise<{ width: number; height: number; data: Uint8ClampedArray }>;
  }
  const decode: { all(file: { buffer: Uint8Array }): Promise<Picture[] & { dispose(): void }> };
  export default decode;
}
