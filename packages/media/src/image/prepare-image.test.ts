import fc from 'fast-check';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { prepareImage } from './prepare-image.ts';

const options = { maxTokens: 280 };
const damaged = expect.objectContaining({ name: 'RequestError', status: 400, code: 'invalid_image' });

/** Left half red, right half blue. */
const halves = (width: number, height: number): Sharp =>
  sharp({ create: { width, height, channels: 3, background: '#0000ff' } }).composite([
    {
      input: { create: { width: width / 2, height, channels: 3, background: '#ff0000' } },
      left: 0,
      top: 0,
    },
  ]);

const pixel = async (data: Uint8Array, x: number, y: number): Promise<number[]> => {
  const { data: raw, info } = await sharp(data).toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
  const at = (Math.floor(y * (info.height - 1)) * info.width + Math.floor(x * (info.width - 1))) * info.channels;
  return info.channels === 1 ? [raw[at] ?? -1, raw[at] ?? -1, raw[at] ?? -1] : [...raw.subarray(at, at + 3)];
};
const near = (actual: number[], wanted: number[], by = 12) =>
  actual.forEach((v, i) => {
    expect(Math.abs(v - (wanted[i] ?? -1)), `${actual} is not near ${wanted}`).toBeLessThanOrEqual(by);
  });

const formats: [string, (image: Sharp) => Sharp][] = [
  ['PNG', (i) => i.png()],
  ['JPEG', (i) => i.jpeg({ quality: 95 })],
  ['WebP', (i) => i.webp({ quality: 95 })],
  ['TIFF', (i) => i.tiff()],
  ['GIF', (i) => i.gif()],
  ['AVIF', (i) => i.avif({ quality: 80, effort: 0 })],
];

describe('prepareImage', () => {
  it.each(formats)('takes %s', async (_, encode) => {
    const bytes = await encode(halves(800, 400)).toBuffer();
    const { data, width, height } = await prepareImage(bytes, options);
    expect(await sharp(data).metadata()).toMatchObject({
      format: 'png',
      width,
      height,
      depth: 'uchar',
      hasAlpha: false,
    });
    expect((width / 48) * (height / 48)).toBeLessThanOrEqual(280);
    near(await pixel(data, 0.2, 0.5), [255, 0, 0]);
    near(await pixel(data, 0.8, 0.5), [0, 0, 255]);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('applies EXIF orientation %i', async (orientation) => {
    const bytes = await halves(800, 400).jpeg().withMetadata({ orientation }).toBuffer();
    const { data, width, height } = await prepareImage(bytes, options);
    const turned = orientation >= 5;
    expect(height > width).toBe(turned);
    const redFirst = [1, 4, 5, 6].includes(orientation);
    near(await pixel(data, turned ? 0.5 : 0.1, turned ? 0.1 : 0.5), redFirst ? [255, 0, 0] : [0, 0, 255]);
    expect((await sharp(data).metadata()).orientation).toBeUndefined();
  });

  it('puts transparency on white', async () => {
    for (const background of [
      { r: 0, g: 0, b: 0, alpha: 0 },
      { r: 255, g: 0, b: 0, alpha: 0.5 },
    ]) {
      const bytes = await sharp({ create: { width: 500, height: 500, channels: 4, background } })
        .png()
        .toBuffer();
      near(
        await pixel((await prepareImage(bytes, options)).data, 0.5, 0.5),
        background.alpha ? [255, 127, 127] : [255, 255, 255],
      );
    }
  });

  it('brings CMYK, 16 bit, grey and palettes to 8-bit sRGB', async () => {
    const red = { create: { width: 500, height: 500, channels: 3 as const, background: '#c03020' } };
    const grey = sharp({ create: { width: 500, height: 500, channels: 3, background: '#808080' } });
    const translucent = sharp({
      create: { width: 500, height: 500, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } },
    });
    const cases: [Sharp, number[]][] = [
      [sharp(red).toColourspace('cmyk').jpeg(), [192, 48, 32]],
      [sharp(red).toColourspace('rgb16').png(), [192, 48, 32]],
      [sharp(red).png({ palette: true }), [192, 48, 32]],
      [grey.clone().toColourspace('b-w').png(), [128, 128, 128]],
      [grey.clone().toColourspace('grey16').png(), [128, 128, 128]],
      [grey.clone().toColourspace('b-w').jpeg(), [128, 128, 128]],
      [translucent.toColourspace('rgb16').png(), [255, 255, 255]],
    ];
    for (const [image, wanted] of cases) {
      const { data } = await prepareImage(await image.toBuffer(), options);
      expect((await sharp(data).metadata()).depth).toBe('uchar');
      near(await pixel(data, 0.5, 0.5), wanted, 25);
    }
  });

  it('takes the first frame of an animation', async () => {
    const frames = ['#ff0000', '#00ff00', '#0000ff'].map((background) => ({
      create: { width: 300, height: 300, channels: 3 as const, background },
    }));
    const pages = await Promise.all(frames.map((f) => sharp(f).png().toBuffer()));
    for (const animation of [
      await sharp(pages, { join: { animated: true } })
        .gif()
        .toBuffer(),
      await sharp(pages, { join: { animated: true } })
        .webp({ lossless: true })
        .toBuffer(),
    ]) {
      const { data, width, height } = await prepareImage(animation, options);
      expect(width).toBe(height);
      near(await pixel(data, 0.5, 0.5), [255, 0, 0]);
    }
  });

  it('takes one pixel and very long pictures', async () => {
    const one = await sharp({ create: { width: 1, height: 1, channels: 3, background: '#123456' } })
      .png()
      .toBuffer();
    const prepared = await prepareImage(one, options);
    expect(prepared).toMatchObject({ width: 432, height: 432 });
    near(await pixel(prepared.data, 0.5, 0.5), [0x12, 0x34, 0x56], 2);
    for (const encode of [(i: Sharp) => i.png(), (i: Sharp) => i.jpeg()]) {
      const long = await encode(halves(30_000, 1_000)).toBuffer();
      const { data, width, height } = await prepareImage(long, { maxTokens: 1_120 });
      expect((width * height) / 48 ** 2).toBeLessThanOrEqual(1_120);
      near(await pixel(data, 0.1, 0.5), [255, 0, 0]);
    }
  });

  it('refuses bombs before decoding them', async () => {
    const bomb = await sharp({ create: { width: 20_000, height: 10_000, channels: 3, background: '#fff' } })
      .png({ compressionLevel: 9 })
      .toBuffer();
    expect(bomb.length).toBeLessThan(2 ** 20);
    const before = process.cpuUsage();
    await expect(prepareImage(bomb, options)).rejects.toThrow(/20000 × 10000 pixels/);
    expect(process.cpuUsage(before).user).toBeLessThan(200_000);
  });

  it.each([
    ['nothing', new Uint8Array()],
    ['text', Buffer.from('hello')],
    ['SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')],
    ['PDF', Buffer.from('%PDF-1.7\n')],
    ['a bare PNG signature', Buffer.from('89504e470d0a1a0a', 'hex')],
    ['a bare JPEG signature', Buffer.from('ffd8ffe000104a464946', 'hex')],
  ])('refuses %s', async (_, bytes) => {
    await expect(prepareImage(bytes, options)).rejects.toEqual(damaged);
  });

  it.each(formats)('refuses a %s that is cut off', async (_, encode) => {
    const noise = sharp({
      create: {
        width: 400,
        height: 400,
        channels: 3,
        background: '#888',
        noise: { type: 'gaussian', mean: 128, sigma: 50 },
      },
    });
    const bytes = await encode(noise).toBuffer();
    for (const part of [0.1, 0.5, 0.9])
      await expect(prepareImage(bytes.subarray(0, bytes.length * part), options), `${part}`).rejects.toEqual(damaged);
  });

  it('answers damaged pictures with a picture or a RequestError, never anything else', async () => {
    const sources = await Promise.all(formats.map(([, encode]) => encode(halves(64, 64)).toBuffer()));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...sources),
        fc.array(fc.tuple(fc.nat(2_000), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        async (source, flips) => {
          const bytes = Buffer.from(source);
          for (const [at, value] of flips) bytes[at % bytes.length] = value;
          const result = await prepareImage(bytes, options).catch((e: unknown) => e);
          expect(result).toEqual('data' in Object(result) ? expect.anything() : damaged);
        },
      ),
      { numRuns: 150 },
    );
  });
});
