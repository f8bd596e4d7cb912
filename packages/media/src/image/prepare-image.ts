import { availableParallelism } from 'node:os';
import { RequestError } from '@batchmill/contract';
import { metrics, timed } from '@batchmill/telemetry';
import { fileTypeFromBuffer } from 'file-type';
import sharp from 'sharp';
import { createLimit } from '../limit.ts';
import { sizeWithin } from './budget.ts';

// One thread per picture and several pictures at once: less overhead than threads inside one picture. Each runs in
// libuv's pool (4 threads unless UV_THREADPOOL_SIZE says otherwise), where file and DNS calls wait too: one thread is
// always left to them. The cache would hold pixels of pictures nobody asks for again.
sharp.concurrency(1);
sharp.cache(false);
const POOL = Number(process.env.UV_THREADPOOL_SIZE) || 4;
const limit = createLimit(Math.max(1, Math.min(availableParallelism(), POOL - 1)));

/** No picture takes this long to decode unless it was made to. */
const SECONDS = 60;

const FORMATS = ['image/png', 'image/apng', 'image/jpeg', 'image/webp', 'image/tiff', 'image/gif', 'image/avif'];

export interface ImageOptions {
  /** Most tokens the picture may cost: 70 to 1,120, one per 48 × 48 pixels. */
  maxTokens: number;
  /** Most pixels before downscaling. A defence against decompression bombs. Default 150 million (A4 at 1,200 dpi: 139). */
  maxPixels?: number;
}

export interface PreparedImage {
  /** PNG, 8 bit, sRGB or grey, no alpha, no metadata. */
  data: Uint8Array;
  width: number;
  height: number;
}

/**
 * Makes a picture ready for the engine: orientation applied, transparency on white, first frame of an animation, sRGB,
 * and exactly the size the model sees (`sizeWithin`). The result stays lossless: fine print survives JPEG badly, and PNG
 * at level 1 is as quick.
 * @throws RequestError 400 `invalid_image` for what is no picture, damaged, cut off or too large.
 */
export function prepareImage(bytes: Uint8Array, options: ImageOptions): Promise<PreparedImage> {
  return limit(() =>
    timed(
      (s) => metrics.mediaSeconds.observe({ step: 'image' }, s),
      () => prepare(bytes, options),
    ),
  );
}

async function prepare(
  bytes: Uint8Array,
  { maxTokens, maxPixels = 150_000_000 }: ImageOptions,
): Promise<PreparedImage> {
  const type = await fileTypeFromBuffer(bytes);
  if (type === undefined || !FORMATS.includes(type.mime)) {
    const what = bytes.length === 0 ? 'is empty' : type === undefined ? 'is no picture' : `is ${type.mime}`;
    throw invalid(`The file ${what}; pictures can be PNG, JPEG, WebP, TIFF, GIF or AVIF.`);
  }
  const input = { limitInputPixels: maxPixels, failOn: 'truncated' as const, pages: 1 };
  try {
    const { autoOrient: upright } = await sharp(bytes, { ...input, limitInputPixels: false }).metadata();
    if (upright.width * upright.height > maxPixels)
      throw invalid(
        `The picture has ${upright.width} × ${upright.height} pixels; at most ${maxPixels} in all are taken.`,
      );
    const { width, height } = sizeWithin(upright.width, upright.height, maxTokens);
    const data = await sharp(bytes, input)
      .autoOrient()
      .resize(width, height, { fit: 'fill' })
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .png({ compressionLevel: 1 })
      .timeout({ seconds: SECONDS })
      .toBuffer();
    return { data, width, height };
  } catch (error) {
    if (error instanceof RequestError) throw error;
    const reason = error instanceof Error ? (error.message.trim().split('\n')[0] ?? '') : '';
    throw invalid(`The picture (${type.mime}) is damaged or cut off: ${reason.slice(0, 120)}.`, error);
  }
}

const invalid = (message: string, cause?: unknown) => new RequestError(400, message, { code: 'invalid_image', cause });
