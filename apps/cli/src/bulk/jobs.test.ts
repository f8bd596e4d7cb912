import { describe, expect, test } from 'vitest';
import { ocrJob } from './ocr-job.ts';
import { clock, transcriptionJob } from './transcription-job.ts';

const page = (index: number, markdown: string, over: object = {}) => ({
  index,
  markdown,
  images: [],
  dimensions: { dpi: 200, height: 1, width: 1 },
  source: 'model',
  ...over,
});
const ocr = (over: object = {}) => ocrJob({ format: 'md', pages: false, model: 'default', ...over });

describe('ocr', () => {
  test('one page is the file; several are told apart by comments', () => {
    expect(ocr().outputsOf({ pages: [page(0, '# Title\n\n')] }).files).toEqual([
      { suffix: '.md', content: '# Title\n' },
    ]);
    expect(ocr().outputsOf({ pages: [page(0, 'one'), page(2, ''), page(3, 'three\n')] }).files[0]?.content).toBe(
      '<!-- page 1 -->\n\none\n\n<!-- page 3 -->\n\n<!-- page 4 -->\n\nthree\n',
    );
    const error = { code: 'invalid_page', message: 'It is --> damaged.' };
    expect(ocr().outputsOf({ pages: [page(0, '', { error }), page(1, 'two')] }).files[0]?.content).toBe(
      '<!-- page 1: It is -> damaged. -->\n\n<!-- page 2 -->\n\ntwo\n',
    );
  });

  test('--pages gives a file for each, --annotate one more', () => {
    const body = { pages: [page(0, 'one'), page(11, '')], document_annotation: '{"total":1}' };
    expect(ocr({ pages: true }).outputsOf(body).files).toEqual([
      { suffix: '.pages/0001.md', content: 'one\n' },
      { suffix: '.pages/0012.md', content: '' },
      { suffix: '.annotation.json', content: '{\n  "total": 1\n}\n' },
    ]);
    expect(JSON.parse(ocr({ format: 'json' }).outputsOf(body).files[0]?.content ?? '')).toEqual(body);
    const [first] = ocr({ format: 'json', pages: true }).outputsOf(body).files;
    expect(first?.suffix).toBe('.pages/0001.json');
    expect(JSON.parse(first?.content ?? '')).toEqual(body.pages[0]);
  });

  test('what is missing inside is named by its page, counted from 1', () => {
    const filtered = { content_filter_results: { personal_data: { filtered: true, detected: true } } };
    const pages = [
      page(0, 'fine', { content_filter_results: { personal_data: { filtered: false } } }),
      page(1, '', { error: { code: 'invalid_page', message: 'damaged' } }),
      page(2, 'x', { truncated: true }),
      page(3, 'x', { repeated: true }),
      page(4, '', filtered),
    ];
    expect(
      ocr()
        .outputsOf({ pages })
        .problems.map(({ at, code }) => [at, code]),
    ).toEqual([
      ['page 2', 'invalid_page'],
      ['page 3', 'truncated'],
      ['page 4', 'repeated'],
      ['page 5', 'content_filter'],
    ]);
  });

  test('the body has what was asked for and nothing else', () => {
    expect(ocr().body).toEqual({ model: 'default' });
    const schema = { name: 'invoice', schema: { type: 'object' } };
    const job = ocr({
      schema,
      select: '0-2',
      textLayer: 'only',
      dpi: 300,
      maxTokens: 9,
      annotationPrompt: 'p',
      prompt: 'q',
    });
    expect(job.body).toEqual({
      model: 'default',
      pages: '0-2',
      text_layer: 'only',
      dpi: 300,
      max_tokens: 9,
      prompt: 'q',
      document_annotation_prompt: 'p',
      document_annotation_format: { type: 'json_schema', json_schema: { ...schema, strict: true } },
    });
    expect(ocr().sourceOf({ url: 's3://b/k.pdf' })).toEqual({
      document: { type: 'document_url', document_url: 's3://b/k.pdf' },
    });
  });
});

describe('transcribe', () => {
  const job = (format: 'txt' | 'srt' | 'json', over: object = {}) =>
    transcriptionJob({ format, model: 'default', translate: false, ...over });

  test('text, subtitles and JSON', () => {
    expect(job('txt').outputsOf({ text: 'hello', duration: 1 }).files).toEqual([
      { suffix: '.txt', content: 'hello\n' },
    ]);
    expect(job('srt').outputsOf({ text: '', duration: 1 }).files).toEqual([{ suffix: '.srt', content: '' }]);
    const body = { text: 'hello', segments: [{ id: 0 }] };
    expect(JSON.parse(job('json').outputsOf(body).files[0]?.content ?? '')).toEqual(body);
    expect(job('srt', { translate: true, labels: ['a', 'b'], language: 'de' })).toMatchObject({
      endpoint: '/v1/audio/translations',
      body: { model: 'default', response_format: 'srt', language: 'de', channel_labels: ['a', 'b'] },
    });
  });

  test('what is missing is named by its time, and what is doubtful is said', () => {
    const errors = [{ start: 65, end: 3725.5, speaker: 'agent', code: 'engine_crash', message: 'no answer' }];
    expect(job('txt').outputsOf({ text: 'a', errors }).problems).toEqual([
      { at: '1:05–1:02:05 (agent)', code: 'engine_crash', message: 'no answer' },
    ]);
    const doubts = { text: 'WEBVTT\n', note: 'No speech was found in the recording.', dropped: 1, truncated: 2 };
    expect(
      job('srt')
        .outputsOf(doubts)
        .problems.map(({ code, message }) => [code, message]),
    ).toEqual([
      ['no_text', 'No speech was found in the recording.'],
      ['truncated', '2 stretches were cut off at the most tokens they may take'],
      ['dropped', '1 text that nobody can have said was dropped'],
    ]);
    const cut = { text: 'a', note: 'The recording is cut off.', missing_seconds: 3 };
    expect(job('txt').outputsOf(cut).problems).toEqual([{ code: 'cut_off', message: 'The recording is cut off.' }]);
    expect([clock(0), clock(59.9), clock(3600)]).toEqual(['0:00', '0:59', '1:00:00']);
  });
});
