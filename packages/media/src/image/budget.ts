/** Side of the square of pixels that becomes one token: patches of 16 pixels, pooled 3×3 (Gemma 4). */
export const TOKEN_SIDE = 48;

/** Fewest tokens the encoder wants; smaller pictures are enlarged (llama.cpp: `set_limit_image_tokens(70, 1120)`). */
export const MIN_TOKENS = 70;
export const MAX_TOKENS = 1_120;

/**
 * The size at which a picture costs at most `maxTokens`: both sides multiples of 48, the aspect kept as far as these
 * allow. It is the size the engine would choose itself (`calc_size_preserved_ratio` in llama.cpp's mtmd-image.cpp), so
 * that a picture is resampled once, by the better resampler. Never above the budget, where the engine's formula can be
 * for very long pictures.
 */
export function sizeWithin(width: number, height: number, maxTokens: number): { width: number; height: number } {
  const aligned = (pixels: number, round: (n: number) => number) => Math.max(1, round(pixels / TOKEN_SIDE));
  const area = width * height;
  let columns = aligned(width, Math.round);
  let rows = aligned(height, Math.round);
  if (columns * rows > maxTokens) {
    const scale = Math.sqrt((maxTokens * TOKEN_SIDE ** 2) / area);
    columns = aligned(width * scale, Math.floor);
    rows = aligned(height * scale, Math.floor);
  } else if (columns * rows < MIN_TOKENS && MIN_TOKENS < maxTokens) {
    const scale = Math.sqrt((MIN_TOKENS * TOKEN_SIDE ** 2) / area);
    columns = aligned(width * scale, Math.ceil);
    rows = aligned(height * scale, Math.ceil);
  }
  columns = Math.min(columns, maxTokens);
  rows = Math.min(rows, Math.floor(maxTokens / columns));
  return { width: columns * TOKEN_SIDE, height: Math.max(1, rows) * TOKEN_SIDE };
}
