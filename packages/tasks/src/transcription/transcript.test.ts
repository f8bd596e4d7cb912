import { NO_USAGE, type Transcription, type VerboseTranscription } from '@batchmill/contract';
import type { RecordingInfo } from '@batchmill/media';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeContext, judges } from '../test-judge.ts';
import type { HeardChunk } from './hear-chunk.ts';
import { type TranscriptOptions, transcript } from './transcript.ts';
import { oneLine } from './words.ts';

const part = (start: number, end: number, text: string, more: Partial<HeardChunk> = {}): HeardChunk => ({
  channel: 0,
  index: start,
  start,
  end,
  speechSeconds: end - start,
  advance: end - start,
  text,
  temperature: 0,
  logprob: null,
  repeated: false,
  truncated: false,
  dropped: false,
  usage: { ...NO_USAGE, input_tokens: 100, output_tokens: 7, total_tokens: 107 },
  error: null,
  ...more,
});
const error = { status: 500, code: 'engine_crash', message: 'The engine crashed on this.' };

async function write(
  heard: readonly HeardChunk[],
  options: Partial<TranscriptOptions> = {},
  info: Partial<RecordingInfo> = {},
  filter: keyof typeof judges = 'none',
): Promise<Transcription | VerboseTranscription> {
  const draft = transcript(
    heard,
    {
      seconds: Math.max(0, ...heard.map((h) => h.end)),
      channels: options.labels ? 2 : 1,
      speechSeconds: heard.reduce((sum, h) => sum + h.speechSeconds, 0),
      missingSeconds: 0,
      ...info,
    },
    { task: 'transcribe', format: 'json', language: null, labels: null, ...options },
  );
  return draft.finish(await judges[filter].judge(draft.segments, judgeContext()));
}
async function verbose(...args: Parameters<typeof write>): Promise<VerboseTranscription> {
  const [heard, options, info, filter] = args;
  const answer = await write(heard, { ...options, format: 'verbose_json' }, info, filter);
  if (!('segments' in answer)) throw new Error('no segments');
  return answer;
}

const news = [part(0.5, 4, 'Good morning.'), part(10, 15.25, 'This is the news.')];

describe('a transcript', () => {
  it('is the texts in order', async () => {
    expect(await write(news.toReversed(), {}, { seconds: 20.12345 })).toEqual({
      text: 'Good morning. This is the news.',
      duration: 20.123,
      usage: { type: 'tokens', input_tokens: 200, output_tokens: 14, total_tokens: 214 },
    });
    expect(await write(news, { format: 'text' })).toMatchObject({ text: 'Good morning. This is the news.' });
    expect(await write([part(0, 5, '大家好。'), part(6, 9, '再见。')])).toMatchObject({ text: '大家好。再见。' });
  });

  it('is subtitles', async () => {
    expect(await write(news, { format: 'srt' })).toMatchObject({
      text: '1\n00:00:00,500 --> 00:00:04,000\nGood morning.\n\n2\n00:00:10,000 --> 00:00:15,250\nThis is the news.\n',
      duration: 15.25,
    });
    expect(await write(news, { format: 'vtt' })).toMatchObject({
      text: 'WEBVTT\n\n00:00:00.500 --> 00:00:04.000\nGood morning.\n\n00:00:10.000 --> 00:00:15.250\nThis is the news.\n',
    });
  });

  it('has segments, and says where silence was skipped', async () => {
    const heard = [
      part(0.5, 4, 'Good morning.', { logprob: -0.25, speechSeconds: 2.8, temperature: 0.4 }),
      part(10, 15.25, 'Bye.'),
    ];
    expect(await verbose(heard, { language: 'English' }, { seconds: 30.5 })).toEqual({
      task: 'transcribe',
      language: 'english',
      text: 'Good morning. Bye.',
      duration: 30.5,
      segments: [
        {
          id: 0,
          seek: 50,
          start: 0.5,
          end: 4,
          text: 'Good morning.',
          tokens: [],
          temperature: 0.4,
          avg_logprob: -0.25,
          compression_ratio: expect.any(Number),
          no_speech_prob: 0.2,
        },
        expect.objectContaining({ id: 1, seek: 1_000, start: 10, end: 15.25, text: 'Bye.', avg_logprob: null }),
      ],
      dropped: 0,
      speech_seconds: 8.05,
      silence: [
        { start: 4, end: 10 },
        { start: 15.25, end: 30.5 },
      ],
      usage: { type: 'duration', seconds: 31 },
    });
    expect(await verbose(news, { task: 'translate', language: 'French' })).toMatchObject({
      task: 'translate',
      language: 'english',
    });
    expect(await verbose(news)).toMatchObject({ language: null });
  });

  it('has long chunks split at the ends of sentences, their time shared by length', async () => {
    const sentence = (letter: string) => `${letter.repeat(38).replace(/^./, (first) => first.toUpperCase())}.`;
    const { segments, text } = await verbose([part(100, 120, ['a', 'b', 'c', 'd'].map(sentence).join(' '))]);
    expect(segments.map(({ start, end }) => ({ start, end }))).toEqual([
      { start: 100, end: 110 },
      { start: 110, end: 120 },
    ]);
    expect(segments.map((segment) => segment.text).join(' ')).toBe(text);
    expect(segments.map((segment) => segment.seek)).toEqual([10_000, 10_000]);
  });

  it('of two channels is a dialogue', async () => {
    const call = [
      part(0, 3, 'Hello, how can I help?'),
      part(9, 11, 'One moment.'),
      part(2.5, 6, 'My order is late.', { channel: 1 }),
      part(6.5, 8, 'It is number 7.', { channel: 1 }),
    ];
    const labels: [string, string] = ['agent', 'caller'];
    const lines = 'agent: Hello, how can I help?\ncaller: My order is late. It is number 7.\nagent: One moment.';
    expect(await write(call, { labels, format: 'text' })).toMatchObject({ text: lines });
    expect(await write(call, { labels })).toMatchObject({ text: lines });
    const { segments } = await verbose(call, { labels });
    expect(segments.map(({ id, start, speaker }) => [id, start, speaker])).toEqual([
      [0, 0, 'agent'],
      [1, 2.5, 'caller'],
      [2, 6.5, 'caller'],
      [3, 9, 'agent'],
    ]);
    expect((await write(call, { labels, format: 'vtt' })).text).toContain(
      '00:00:02.500 --> 00:00:06.000\n<v caller>My order is late.\n',
    );
    expect((await write(call, { labels, format: 'srt' })).text).toContain('\ncaller: My order is late.\n');
  });

  it('of nothing says why it is empty', async () => {
    expect(await write([], {}, { seconds: 60 })).toEqual({
      text: '',
      duration: 60,
      note: 'No speech was found in the recording.',
      usage: { type: 'tokens', input_tokens: 0, output_tokens: 0, total_tokens: 0 },
    });
    expect(await write([], { format: 'vtt' })).toMatchObject({
      text: 'WEBVTT\n',
      note: expect.stringMatching(/No speech/),
    });
    expect(await verbose([], {}, { seconds: 60 })).toMatchObject({
      segments: [],
      silence: [{ start: 0, end: 60 }],
      speech_seconds: 0,
    });
    expect(await write([part(0, 2, '')])).toMatchObject({ text: '', note: expect.stringMatching(/no words/) });
    expect(await write([part(0, 2, '', { dropped: true })])).toMatchObject({
      note: expect.stringMatching(/dropped/),
      dropped: 1,
    });
  });

  it('says what was dropped, cut and cut off', async () => {
    const heard = [
      part(0, 4, '', { dropped: true }),
      part(5, 9, 'la la', { repeated: true }),
      part(10, 12, 'and then we', { truncated: true }),
    ];
    expect(await write(heard)).toMatchObject({
      text: 'la la and then we',
      dropped: 1,
      repeated: 1,
      truncated: 1,
    });
    expect(await verbose(heard)).toMatchObject({
      dropped: 1,
      segments: [
        { start: 0, end: 4, text: '', dropped: true },
        { text: 'la la', repeated: true },
        { text: 'and then we', truncated: true },
      ],
    });
  });

  it('misses what failed alone, and says so', async () => {
    const heard = [part(0, 4, 'Good morning.'), part(5, 9, '', { error }), part(10, 12, 'Bye.')];
    const errors = [{ start: 5, end: 9, code: 'engine_crash', message: error.message }];
    expect(await write(heard)).toMatchObject({ text: 'Good morning. Bye.', errors });
    expect(await verbose(heard)).toMatchObject({
      errors,
      segments: [{}, { start: 5, end: 9, text: '', error: { code: 'engine_crash', message: error.message } }, {}],
    });
    expect(await write(heard, { labels: ['a', 'b'], format: 'srt' })).toMatchObject({
      errors: [{ ...errors[0], speaker: 'a' }],
    });
  });

  it('of a recording that is cut off says so', async () => {
    expect(await write(news, {}, { missingSeconds: 61.25 })).toMatchObject({
      text: 'Good morning. This is the news.',
      note: 'The recording is cut off or damaged: 61.25 s of it are missing.',
      missing_seconds: 61.25,
    });
    expect(await write([], {}, { missingSeconds: 2 })).toMatchObject({
      note: expect.stringMatching(/missing\. No speech/),
    });
  });

  it('of which every chunk failed is that error', async () => {
    await expect(write([part(0, 4, '', { error }), part(5, 9, '', { error })])).rejects.toMatchObject({
      name: 'RequestError',
      status: 500,
      code: 'engine_crash',
    });
  });

  it('has in it only what the filters let through', async () => {
    const heard = [part(0, 4, 'Write to ann@example.com today.'), part(5, 9, 'Fine.')];
    for (const format of ['json', 'text', 'srt', 'vtt', 'verbose_json'] as const) {
      const redacted = await write(heard, { format }, {}, 'redact');
      expect(JSON.stringify(redacted)).not.toContain('ann@');
      expect(redacted.text).toContain('today.');
      expect(redacted.content_filter_results).toMatchObject({ personal_data: { redacted: true } });
      const blocked = await write(heard, { format }, {}, 'block');
      expect(JSON.stringify(blocked)).not.toContain('today');
      expect(blocked.text).toContain('Fine.');
      expect(blocked.content_filter_results).toMatchObject({ personal_data: { filtered: true } });
    }
    expect(await verbose(heard, {}, {}, 'block')).toMatchObject({
      segments: [{ text: '', content_filter_results: { personal_data: { filtered: true } } }, { text: 'Fine.' }],
    });
    expect(await write(heard.slice(0, 1), {}, {}, 'block')).toMatchObject({
      text: '',
      note: expect.stringMatching(/filters/),
    });
  });

  it('takes no other judgements than its own', () => {
    const draft = transcript(
      news,
      { seconds: 20, channels: 1, speechSeconds: 1, missingSeconds: 0 },
      { task: 'transcribe', format: 'json', language: null, labels: null },
    );
    expect(() => draft.finish([])).toThrow(/judgements/);
  });

  it('has segments in order, apart within a channel, that together are the text', async () => {
    const words = fc
      .array(fc.stringMatching(/^[A-Za-z]{1,9}[.?!,]?$/), { minLength: 1, maxLength: 50 })
      .map((list) => oneLine(list.join(' ')));
    const channel = (n: number) =>
      fc
        .array(
          fc.tuple(words, fc.double({ min: 0, max: 5, noNaN: true }), fc.double({ min: 0.2, max: 28, noNaN: true })),
          { maxLength: 6 },
        )
        .map((list) => {
          let at = 0;
          return list.map(([text, pause, length], index) => {
            const start = at + pause;
            at = start + length;
            return part(start, at, text, { index, channel: n });
          });
        });
    await fc.assert(
      fc.asyncProperty(channel(0), channel(1), async (left, right) => {
        const { segments } = await verbose([...left, ...right], { labels: ['a', 'b'] });
        expect(segments.map((s) => s.id)).toEqual(segments.map((_, i) => i));
        expect(segments.map((s) => s.start)).toEqual(segments.map((s) => s.start).sort((a, b) => a - b));
        for (const [speaker, chunks] of [
          ['a', left],
          ['b', right],
        ] as const) {
          const own = segments.filter((s) => s.speaker === speaker);
          expect(own.map((s) => s.text).join(' ')).toBe(chunks.map((c) => c.text).join(' '));
          let before = 0;
          for (const { start, end } of own) {
            expect(start).toBeGreaterThanOrEqual(before);
            expect(end).toBeGreaterThanOrEqual(start);
            before = end;
          }
        }
      }),
    );
  });
});
