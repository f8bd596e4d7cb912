import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { mediaKind } from './media-kind.ts';

const recording = (name: string) => readFileSync(new URL(`./audio/fixtures/${name}`, import.meta.url));

it('tells pictures, recordings and the rest apart by their bytes', async () => {
  const picture = await sharp({ create: { width: 9, height: 9, channels: 3, background: '#fff' } })
    .webp()
    .toBuffer();
  expect(await mediaKind(picture)).toEqual({ kind: 'image', type: 'image/webp' });
  for (const name of ['tone-mono.mp3', 'tone.opus', 'tone.m4a', 'tone.webm'])
    expect(await mediaKind(recording(name)), name).toMatchObject({ kind: 'audio' });
  expect(await mediaKind(Buffer.from('%PDF-1.7\n%'))).toEqual({ kind: null, type: 'application/pdf' });
  expect(await mediaKind(Buffer.from('hello'))).toEqual({ kind: null, type: null });
  expect(await mediaKind(new Uint8Array())).toEqual({ kind: null, type: null });
});
