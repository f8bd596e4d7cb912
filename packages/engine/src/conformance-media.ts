import { describe, expect } from 'vitest';
import { ask, type Features, failure, never, testIf } from './conformance-calls.ts';
import type { Engine, GenerateRequest, MessagePart } from './port.ts';
import { png, wav } from './samples.ts';

/** What the port promises of pictures and recordings: part of `engineConformance`. */
export function mediaConformance(engine: () => Engine, features: Features): void {
  const generate = (request: GenerateRequest) => engine().generate(request, never());
  describe('pictures and recordings', () => {
    const red = png(64, 48, () => [255, 0, 0]);
    const checks = png(64, 48, (x, y) => (((x >> 3) + (y >> 3)) % 2 === 0 ? [0, 0, 0] : [255, 255, 255]));
    const show = (...data: Uint8Array[]) =>
      ask([
        ...data.map((bytes): MessagePart => ({ type: 'image', data: bytes })),
        { type: 'text', text: 'What is it?' },
      ]);
    const play = (data: Uint8Array) =>
      ask([
        { type: 'audio', data },
        { type: 'text', text: 'What is said?' },
      ]);
    const text = ask('What is it?');

    testIf(features.image)('a picture is seen', async () => {
      const [blind, one, other, again] = await Promise.all([text, show(red), show(checks), show(red)].map(generate));
      expect(one?.usage.promptTokens).toBeGreaterThan(blind?.usage.promptTokens ?? Infinity);
      expect(other?.text).not.toBe(one?.text);
      expect(again?.text).toBe(one?.text);
    });

    testIf(features.image)('several pictures, in order', async () => {
      const [both, swapped] = await Promise.all([show(red, checks), show(checks, red)].map(generate));
      expect(both?.usage.promptTokens).toBe(swapped?.usage.promptTokens);
      expect(both?.text).not.toBe(swapped?.text);
    });

    testIf(features.image)('a picture of one pixel', async () => {
      const answer = await generate(show(png(1, 1, () => [9, 9, 9])));
      expect(answer.usage.completionTokens).toBeGreaterThan(0);
    });

    testIf(features.image)('a picture that is none is refused, and nothing else suffers', async () => {
      const bad = [new Uint8Array([1, 2, 3]), new Uint8Array(0), red.subarray(0, 60)];
      const refused = Promise.all(bad.map((data) => failure(generate(show(data)))));
      const fine = await Promise.all([generate(show(red)), generate(text)]);
      expect((await refused).map(({ code }) => code)).toEqual(['bad_media', 'bad_media', 'bad_media']);
      expect(fine.every(({ usage }) => usage.completionTokens > 0)).toBe(true);
    });

    testIf(features.audio)('a recording is heard', async () => {
      const [low, high, longer] = await Promise.all([wav(1, 220), wav(1, 1_900), wav(3, 220)].map(play).map(generate));
      expect(low?.text).not.toBe(high?.text);
      expect(longer?.usage.promptTokens).toBeGreaterThan(low?.usage.promptTokens ?? Infinity);
    });

    testIf(features.audio)('a recording that is none is refused', async () => {
      expect((await failure(generate(play(new Uint8Array([1, 2, 3]))))).code).toBe('bad_media');
      expect((await failure(generate(play(wav(0, 1))))).code).toBe('bad_media');
    });

    testIf(!features.image)('pictures are refused where there is no encoder', async () => {
      expect((await failure(generate(show(red)))).code).toBe('unsupported');
    });

    testIf(!features.audio)('recordings are refused where there is no encoder', async () => {
      expect((await failure(generate(play(wav(1, 220))))).code).toBe('unsupported');
    });
  });
}
