import { RequestError } from '@batchmill/contract';
import { describe, expect, it } from 'vitest';
import { about } from '../refusals.ts';
import { parseTranscription } from './request.ts';

const refusal = (body: Record<string, unknown>) => {
  try {
    parseTranscription({ model: 'gemma', url: 'https://a.example/1.mp3', ...body });
  } catch (error) {
    if (error instanceof RequestError)
      return { status: error.status, code: error.code, param: error.param, message: error.message };
    throw error;
  }
  return null;
};

describe('a transcription line', () => {
  it('names its recording as Groq, Mistral and vLLM have it', () => {
    for (const [param, source] of [
      ['url', 'https://a.example/1.mp3'],
      ['file_url', 's3://calls/1.wav'],
      ['file_id', 'file-0198f3c2a1b07c'],
      ['file', 'data:audio/wav;base64,AAAA'],
    ])
      expect(parseTranscription({ model: 'gemma', [String(param)]: source })).toEqual({
        model: 'gemma',
        source,
        param,
        format: 'json',
        language: null,
        prompt: null,
        temperature: 0,
        maxTokens: null,
        labels: null,
      });
  });

  it('takes every parameter, and null for none', () => {
    const all = {
      model: 'gemma',
      file_url: 'https://a.example/1.mp3',
      url: null,
      language: 'de-AT',
      prompt: ' Batchmill ',
      response_format: 'verbose_json',
      timestamp_granularities: ['segment'],
      temperature: 0.3,
      channel_labels: ['agent', 'caller'],
      max_tokens: 100,
      stream: false,
      diarize: false,
    };
    expect(parseTranscription(all)).toEqual({
      model: 'gemma',
      source: 'https://a.example/1.mp3',
      param: 'file_url',
      format: 'verbose_json',
      language: 'Austrian German',
      prompt: 'Batchmill',
      temperature: 0.3,
      maxTokens: 100,
      labels: ['agent', 'caller'],
    });
    const none = Object.fromEntries(Object.keys(all).map((key) => [key, null]));
    expect(parseTranscription({ ...none, model: 'gemma', url: 'x' })).toMatchObject({ format: 'json', labels: null });
  });

  it('that wants the times of segments wants segments', () => {
    const granularities = { url: 'x', model: 'gemma', timestamp_granularities: ['segment'] };
    expect(parseTranscription(granularities).format).toBe('verbose_json');
    expect(refusal({ ...granularities, response_format: 'srt' })).toMatchObject({
      param: 'timestamp_granularities',
      message: expect.stringContaining('verbose_json'),
    });
    expect(parseTranscription({ url: 'x', model: 'gemma', timestamp_granularities: [] }).format).toBe('json');
  });

  it.each([
    ['no recording', { url: undefined }, 'missing_required_parameter', 'url', /file_id/],
    ['an empty name of one', { url: '' }, 'invalid_value', 'url', /./],
    ['two recordings', { file_id: 'file-1' }, 'invalid_value', 'file_id', /'url'/],
    ['no model', { model: undefined }, 'missing_required_parameter', 'model', /./],
    [
      'times of words',
      { timestamp_granularities: ['word'] },
      'invalid_value',
      'timestamp_granularities.0',
      /not served/,
    ],
    ['another format', { response_format: 'docx' }, 'invalid_value', 'response_format', /./],
    ['another language', { language: 'klingonese' }, 'invalid_value', 'language', /ISO 639/],
    ['a language that is no code', { language: 'e' }, 'invalid_value', 'language', /ISO 639/],
    ['one label', { channel_labels: ['a'] }, 'invalid_value', 'channel_labels', /./],
    ['the same label twice', { channel_labels: ['a', 'a'] }, 'invalid_value', 'channel_labels', /differ/],
    ['a label of two lines', { channel_labels: ['a\nb', 'c'] }, 'invalid_value', 'channel_labels', /one line/],
    ['a long label', { channel_labels: ['a'.repeat(65), 'c'] }, 'invalid_value', 'channel_labels', /64/],
    ['a stream', { stream: true }, 'invalid_value', 'stream', /./],
    ['a heat beyond Whisper’s', { temperature: 1.5 }, 'invalid_value', 'temperature', /./],
    ['diarization', { diarize: true }, 'invalid_value', 'diarize', /channel_labels/],
    ['what no service has', { colour: 'red' }, 'unknown_parameter', 'colour', /./],
  ])('with %s is refused by name', (_, body, code, param, message) => {
    expect(refusal(body)).toEqual({ status: 400, code, param, message: expect.stringMatching(message) });
  });

  it('is told which parameter a bad recording is', () => {
    const bad = new RequestError(400, 'The recording is empty.', { code: 'invalid_audio' });
    expect(about('file_url', bad)).toMatchObject({
      param: 'file_url',
      code: 'invalid_audio',
      message: 'file_url: The recording is empty.',
    });
    for (const other of [new RequestError(504, 'slow'), new RequestError(400, 'x', { param: 'url' }), new Error('bug')])
      expect(about('url', other)).toBe(other);
  });
});
