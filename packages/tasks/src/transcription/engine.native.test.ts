import { newId, type VerboseTranscription } from '@batchmill/contract';
import type { Engine } from '@batchmill/engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { taskContext } from '../test-context.ts';
import { START_MS, startTinyEngine } from '../test-engine.ts';
import { judgeContext, judges } from '../test-judge.ts';
import { example } from './test-transcription.ts';
import { createTranscriptionTask } from './transcription-task.ts';

/** Transcription on the real engine, with the tiny model: what it writes is nonsense, but the same each time. */
let engine: Engine;
beforeAll(async () => {
  engine = await startTinyEngine();
}, START_MS);
afterAll(() => engine.close());

async function transcribe(name: string): Promise<VerboseTranscription> {
  const id = newId('file-');
  const { context, clear } = await taskContext(new Map([[id, await example(name)]]), {
    models: [engine.capabilities.model],
    audio: engine.capabilities.audio,
    generate: (request, signal) => engine.generate(request, signal ?? new AbortController().signal),
  });
  try {
    const body = { model: 'tiny', file_id: id, response_format: 'verbose_json', max_tokens: 12 };
    const draft = await createTranscriptionTask('/v1/audio/transcriptions').run(body, context);
    const answer = draft.finish(await judges.none.judge(draft.segments, judgeContext(context.signal)));
    if (!('segments' in answer)) throw new Error('not verbose');
    // Each second is 25 tokens; the instruction comes on top.
    expect(draft.usage.input_tokens).toBeGreaterThan(25 * (answer.speech_seconds - 1));
    return answer;
  } finally {
    await clear();
  }
}

describe('with the real engine', () => {
  it('a recording is heard, the same each time', async () => {
    const [first, second] = [await transcribe('sentence.ogg'), await transcribe('sentence.ogg')];
    expect(first.segments).toHaveLength(1);
    expect(first.segments[0]).toMatchObject({ id: 0, truncated: true });
    expect(first.segments[0]?.text).not.toBe('');
    expect(first.segments[0]?.avg_logprob).toBeLessThan(0);
    expect(second.text).toBe(first.text);
    // What is in the engine's cache moves the last digits.
    expect(second.segments[0]?.avg_logprob).toBeCloseTo(first.segments[0]?.avg_logprob ?? 0, 2);
  });

  it('two recordings are told apart', async () => {
    const [one, other] = [await transcribe('sentence.ogg'), await transcribe('call.ogg')];
    expect(other.segments[0]?.avg_logprob).not.toBe(one.segments[0]?.avg_logprob);
  });
});
