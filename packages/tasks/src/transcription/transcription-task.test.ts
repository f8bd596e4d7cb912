import { newId, RequestError } from '@batchmill/contract';
import type { GenerateRequest, Generation } from '@batchmill/engine';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TaskContext } from '../port.ts';
import { createTasks } from '../tasks.ts';
import { answer, taskContext } from '../test-context.ts';
import { judgeContext, judges } from '../test-judge.ts';
import { example } from './test-transcription.ts';
import {
  createTranscriptionTask,
  type TranscriptionEndpoint,
  type TranscriptionOptions,
} from './transcription-task.ts';

/** Real recordings, decoded and cut by the real thing; what they are heard by only counts their seconds. */
const files = new Map<string, Uint8Array>();
const upload = (bytes: Uint8Array) => {
  const id = newId('file-');
  files.set(id, bytes);
  return id;
};
let sentence: string;
let tenMinutes: string;
let call: string;
beforeAll(async () => {
  sentence = upload(await example('sentence.ogg'));
  tenMinutes = upload(await example('ten-minutes.ogg'));
  call = upload(await example('call.ogg'));
});

/** Seconds of the WAV it is given. */
const secondsOf = (request: GenerateRequest) => {
  const part = request.messages[0]?.content[0];
  if (part?.type !== 'audio') throw new Error('no recording');
  expect(Buffer.from(part.data.subarray(0, 4)).toString()).toBe('RIFF');
  return (part.data.length - 44) / 32_000;
};
const counts = async (request: GenerateRequest): Promise<Generation> =>
  answer(`${secondsOf(request).toFixed(2)} seconds.`);

async function run(
  body: Record<string, unknown>,
  changes: Partial<TaskContext> = {},
  options: TranscriptionOptions = {},
  endpoint: TranscriptionEndpoint = '/v1/audio/transcriptions',
) {
  const asked: GenerateRequest[] = [];
  const { generate = counts, ...others } = changes;
  const { context, store, clear } = await taskContext(files, {
    ...others,
    generate: (request, signal) => {
      asked.push(request);
      return generate(request, signal);
    },
  });
  try {
    const draft = await createTranscriptionTask(endpoint, options).run({ model: 'gemma', ...body }, context);
    const judged = await judges.none.judge(draft.segments, judgeContext(context.signal));
    return { answer: draft.finish(judged), usage: draft.usage, asked, store };
  } finally {
    await clear();
  }
}
const refused = (status: number, code: string, param: string | null) =>
  expect.objectContaining({ name: 'RequestError', status, code, param });

describe('the transcription task', () => {
  it('is found by its endpoints', () => {
    const tasks = createTasks();
    for (const endpoint of ['/v1/audio/transcriptions', '/v1/audio/translations'])
      expect(tasks.get(endpoint)).toMatchObject({ endpoint, inPieces: true });
  });

  it('hears a short recording in one piece', async () => {
    const { answer, asked, store, usage } = await run({ file_id: sentence });
    expect(asked).toHaveLength(1);
    expect(answer.text).toMatch(/^\d\.\d\d seconds\.$/);
    expect(answer.duration).toBeGreaterThan(2);
    expect([...store.kept.keys()]).toEqual(['chunk-0-0']);
    expect(usage.total_tokens).toBe(110);
  });

  it('hears a long one in chunks within bounds, the same in every run', async () => {
    const body = { file_id: tenMinutes, response_format: 'verbose_json' };
    const first = await run(body, { pieces: 2 });
    const seconds = first.asked.map(secondsOf);
    expect(seconds.length).toBeGreaterThan(20);
    expect(Math.max(...seconds)).toBeLessThanOrEqual(28);
    expect(first.answer.duration).toBeGreaterThan(590);
    expect(first.store.units()).toBeLessThanOrEqual(first.answer.duration);
    expect(first.store.said()).toBeCloseTo(first.answer.duration, 0);
    expect(first.store.units()).toBeGreaterThan(first.answer.duration - 30);
    if (!('segments' in first.answer)) throw new Error('not verbose');
    expect(first.answer.silence.length).toBeGreaterThan(5);
    const again = await run(body, { pieces: 7 });
    expect(again.answer).toEqual(first.answer);
    const shorter = await run(body, {}, { chunkSeconds: 10 });
    expect(Math.max(...shorter.asked.map(secondsOf))).toBeLessThanOrEqual(10);
  });

  it('hears two channels apart', async () => {
    const body = { file_id: call, channel_labels: ['agent', 'customer'] };
    const { answer, store } = await run(body);
    expect(store.kept.has('chunk-1-0')).toBe(true);
    expect(answer.text).toMatch(/^agent: [\d.]+ seconds\.\ncustomer: [\d.]+ seconds\.\nagent: /);
    expect((await run({ file_id: call })).answer.text).not.toContain('agent');
    // Before anything is heard.
    const deaf = { generate: () => Promise.reject(new Error('asked')) };
    await expect(run({ ...body, file_id: sentence }, deaf)).rejects.toEqual(
      refused(400, 'invalid_value', 'channel_labels'),
    );
  });

  it('gives each chunk the instruction, with what the request adds', async () => {
    const instruction = async (...args: Parameters<typeof run>) => {
      const part = (await run(...args)).asked[0]?.messages[0]?.content[1];
      return part?.type === 'text' ? part.text : '';
    };
    expect(await instruction({ file_id: sentence })).toMatch(/^Transcribe .* original language/);
    expect(await instruction({ file_id: sentence }, {}, {}, '/v1/audio/translations')).toMatch(/^Translate .* English/);
    expect(
      await instruction(
        { file_id: sentence, language: 'de', prompt: 'Batchmill' },
        {},
        { transcriptionPrompt: 'Write.' },
      ),
    ).toBe('Write.\nThe speech is in German.\nContext, for names and spelling only, not to be repeated: Batchmill');
    expect(
      await instruction({ file_id: sentence }, {}, { translationPrompt: 'To English.' }, '/v1/audio/translations'),
    ).toBe('To English.');
  });

  it('of silence is empty, and asks for nothing', async () => {
    // Eight seconds of zeros.
    const wav = Buffer.concat([
      Buffer.from('5249464624e8030057415645666d74201000000001000100803e0000007d0000020010006461746100e80300', 'hex'),
      Buffer.alloc(256_000),
    ]);
    const { answer, asked } = await run({ file: `data:audio/wav;base64,${wav.toString('base64')}` });
    expect(asked).toEqual([]);
    expect(answer).toMatchObject({ text: '', note: expect.stringMatching(/No speech/), duration: 8 });
  });

  it('refuses by name, before anything is fetched for nothing', async () => {
    const never = { openFile: () => Promise.reject(new Error('fetched')) };
    await expect(run({ file_id: sentence }, { audio: false, ...never })).rejects.toEqual(
      refused(400, 'unsupported_modality', 'file_id'),
    );
    await expect(run({ file_id: sentence, model: 'gpt' }, never)).rejects.toEqual(
      refused(404, 'model_not_found', 'model'),
    );
    await expect(run({ file_id: sentence, words: true }, never)).rejects.toEqual(
      refused(400, 'unknown_parameter', 'words'),
    );
    await expect(run({ url: newId('file-') })).rejects.toEqual(refused(400, 'file_not_found', 'url'));
    await expect(run({ file: 'data:audio/wav;base64,aGVsbG8=' })).rejects.toEqual(
      refused(400, 'unsupported_audio', 'file'),
    );
    await expect(run({ file_id: tenMinutes }, {}, { maxHours: 0.1 })).rejects.toEqual(
      refused(400, 'audio_too_long', 'file_id'),
    );
    await expect(run({ file_id: tenMinutes }, {}, { maxBytes: 1_000 })).rejects.toEqual(
      refused(400, 'file_too_large', 'file_id'),
    );
  });

  it('fails with the chunks if all of them do, and as the item is stopped', async () => {
    const crash = new RequestError(500, 'The engine crashed on this item, twice.', { code: 'engine_crash' });
    await expect(run({ file_id: sentence }, { generate: () => Promise.reject(crash) })).rejects.toEqual(
      refused(500, 'engine_crash', null),
    );
    const reason = new Error('cancelled');
    const stop = new AbortController();
    const stopped = run(
      { file_id: tenMinutes },
      {
        signal: stop.signal,
        generate: async (request) => {
          stop.abort(reason);
          return counts(request);
        },
      },
    );
    await expect(stopped).rejects.toBe(reason);
  });
});
