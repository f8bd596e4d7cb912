import { EngineError } from '@batchmill/engine';
import type { RecordingInfo, SpeechChunk } from '@batchmill/media';
import { describe, expect, it } from 'vitest';
import { type HearContext, hearRecording } from './hear-recording.ts';
import { chunk, cut, hearContext, hears } from './test-transcription.ts';

const options = { instruction: 'x', temperature: 0, maxTokens: null, logprobs: false };
const twenty = Array.from({ length: 20 }, (_, index) => chunk(index * 10, index * 10 + 8, `part ${index}`, { index }));

describe('a recording', () => {
  it('is heard chunk by chunk, in order however the answers come', async () => {
    const { context, store } = hearContext({
      generate: async (request) => {
        const generation = await hears(request);
        await new Promise((done) => setTimeout(done, (generation.text.length * 7) % 5));
        return generation;
      },
    });
    const { heard, info } = await hearRecording(cut(twenty), context, options);
    expect(heard.map((one) => one.text)).toEqual(twenty.map((_, i) => `part ${i}`));
    expect(info).toEqual({ seconds: 198, channels: 1, speechSeconds: 160, missingSeconds: 0 });
    expect([...store.kept.keys()]).toContain('chunk-0-19');
    expect(store.units()).toBe(198);
  });

  it('counts the seconds of two channels once', async () => {
    const { context, store } = hearContext();
    const both = [
      chunk(0, 5, 'a'),
      chunk(4, 9, 'b', { channel: 1 }),
      chunk(6, 8, 'c', { index: 1 }),
      chunk(20, 22, 'd', { index: 2 }),
    ];
    const { heard } = await hearRecording(cut(both), context, options);
    expect(heard.map((one) => one.advance)).toEqual([5, 4, 0, 13]);
    expect(store.units()).toBe(22);
  });

  it('is cut no further ahead than it is heard', async () => {
    let pulled = 0;
    let done = 0;
    let most = 0;
    async function* chunks(): AsyncGenerator<SpeechChunk, RecordingInfo> {
      for (const one of twenty) {
        pulled++;
        most = Math.max(most, pulled - done);
        yield one;
      }
      return { seconds: 200, channels: 1, speechSeconds: 160, missingSeconds: 0 };
    }
    const { context } = hearContext({
      pieces: 3,
      generate: async (request) => {
        await new Promise((next) => setTimeout(next, 1));
        done++;
        return hears(request);
      },
    });
    await hearRecording(chunks(), context, options);
    expect(pulled).toBe(20);
    expect(most).toBeLessThanOrEqual(3 + 1);
    expect(most).toBeGreaterThanOrEqual(3);
  });

  it('that was interrupted goes on with what is not heard yet', async () => {
    let calls = 0;
    const { context, store } = hearContext({
      pieces: 2,
      generate: async (request) => {
        if (++calls === 8) throw new EngineError('engine_failed', 'gone');
        return hears(request);
      },
    });
    let closed = false;
    async function* chunks(): AsyncGenerator<SpeechChunk, RecordingInfo> {
      try {
        return yield* cut(twenty);
      } finally {
        closed = true;
      }
    }
    await expect(hearRecording(chunks(), context, options)).rejects.toMatchObject({ code: 'engine_failed' });
    expect(closed).toBe(true);
    const kept = store.kept.size;
    expect(kept).toBeGreaterThanOrEqual(7);
    calls = 100;
    const again = await hearRecording(cut(twenty), context, options);
    expect(calls - 100).toBe(20 - kept);
    const whole = await hearRecording(cut(twenty), hearContext().context, options);
    expect(again).toEqual(whole);
  });

  it('does again what was kept of another cut, or cannot be read', async () => {
    const { context, store } = hearContext();
    await hearRecording(cut(twenty), context, options);
    store.kept.set('chunk-0-3', '{"text":"?"}');
    let calls = 0;
    const counting: HearContext = {
      ...context,
      generate: (request) => {
        calls++;
        return hears(request);
      },
    };
    const other = twenty.map((one) => (one.index === 5 ? { ...one, end: one.end - 1, data: Buffer.from('new') } : one));
    const { heard } = await hearRecording(cut(other), counting, options);
    expect(calls).toBe(2);
    expect(heard[3]?.text).toBe('part 3');
    expect(heard[5]?.text).toBe('new');
  });

  it('fails as its decoder fails, when the chunks under way have ended', async () => {
    const broken = new Error('broken file');
    let ended = false;
    async function* chunks(): AsyncGenerator<SpeechChunk, RecordingInfo> {
      yield chunk(0, 1, 'a');
      throw broken;
    }
    const { context } = hearContext({
      generate: async (request) => {
        await new Promise((done) => setTimeout(done, 20));
        ended = true;
        return hears(request);
      },
    });
    await expect(hearRecording(chunks(), context, options)).rejects.toBe(broken);
    expect(ended).toBe(true);
  });
});
