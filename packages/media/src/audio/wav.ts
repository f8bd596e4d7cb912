/** Sample rate of what the engine hears, in Hz. */
export const ENGINE_RATE = 16_000;

/** A WAV file of 16-bit mono samples, given in pieces. */
export function encodeWav(pieces: Int16Array[], rate: number): Uint8Array {
  const dataBytes = pieces.reduce((sum, p) => sum + p.byteLength, 0);
  const wav = Buffer.alloc(44 + dataBytes);
  wav.write('RIFF', 0, 'latin1');
  wav.writeUInt32LE(36 + dataBytes, 4);
  wav.write('WAVEfmt ', 8, 'latin1');
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(rate, 24);
  wav.writeUInt32LE(rate * 2, 28);
  wav.writeUInt16LE(2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write('data', 36, 'latin1');
  wav.writeUInt32LE(dataBytes, 40);
  let at = 44;
  for (const piece of pieces) {
    // Every machine Node runs on here is little-endian, as WAV is.
    wav.set(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength), at);
    at += piece.byteLength;
  }
  return wav;
}
