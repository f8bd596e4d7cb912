import { createServer } from 'node:http';
import { newId, RequestError } from '@batchmill/contract';
import { EngineError, type GenerateRequest, type Generation } from '@batchmill/engine';
import { createFilters, personalData } from '@batchmill/safety';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TaskContext } from '../port.ts';
import { createTasks } from '../tasks.ts';
import { type ChatTaskOptions, createChatTask } from './chat-task.ts';

/** What the task asks of an engine, kept; it answers with the text of the last message, or with what a test sets. */
let asked: GenerateRequest[] = [];
const lastText = (request: GenerateRequest) =>
  request.messages
    .at(-1)
    ?.content.map((p) => (p.type === 'text' ? p.text : `<${p.type}>`))
    .join('') ?? '';
const echo = async (request: GenerateRequest): Promise<Generation> => {
  asked.push(request);
  const text = lastText(request);
  return {
    text,
    reasoning: request.thinking ? `thinking of ${text}` : null,
    toolCalls: [],
    finishReason: 'stop',
    usage: {
      promptTokens: 10,
      cachedTokens: 4,
      completionTokens: text.length,
      reasoningTokens: request.thinking ? 3 : 0,
    },
    logprobs:
      request.logprobs === undefined
        ? null
        : [
            {
              token: text,
              logprob: -0.5,
              bytes: [...Buffer.from(text)],
              top: [{ token: text, logprob: -0.5, bytes: [] }],
            },
          ],
  };
};

const picture = await sharp({ create: { width: 640, height: 480, channels: 3, background: '#f00' } })
  .jpeg()
  .toBuffer();
const recording = Buffer.concat([
  Buffer.from('524946465425000057415645666d74201000000001000100401f0000803e0000020010006461746180250000', 'hex'),
  Buffer.alloc(9_600, 7),
]);
const files = new Map<string, Uint8Array>();
const upload = (bytes: Uint8Array) => {
  const id = newId('file-');
  files.set(id, bytes);
  return id;
};

const context = (changes: Partial<TaskContext> = {}): TaskContext => ({
  tenant: 'default',
  models: ['gemma', 'alias'],
  image: true,
  audio: true,
  generate: echo,
  readFile: async (id) => files.get(id) ?? null,
  readObject: async (url) => {
    if (url === 's3://scans/1.jpg') return picture;
    throw new RequestError(400, 'outside', { code: 'url_not_allowed' });
  },
  signal: new AbortController().signal,
  ...changes,
});

const filterContext = (signal: AbortSignal) => ({ tenant: 'default', batchId: 'batch_1', customId: 'a', signal });
const filters = {
  none: createFilters([]),
  redact: createFilters([personalData({ mode: 'redact' })]),
  block: createFilters([personalData({ mode: 'block' })]),
};

async function run(
  body: Record<string, unknown>,
  changes: Partial<TaskContext> = {},
  filter: keyof typeof filters = 'none',
  options: ChatTaskOptions = {},
) {
  asked = [];
  const scope = context(changes);
  const draft = await createChatTask(options).run(body, scope);
  const judged = await filters[filter].judge(draft.segments, filterContext(scope.signal));
  return { draft, answer: draft.finish(judged) };
}
const user = (content: unknown, more: Record<string, unknown> = {}) => ({
  model: 'gemma',
  messages: [{ role: 'user', content }],
  ...more,
});
const image = (url: string, detail?: string) => ({ type: 'image_url', image_url: { url, ...(detail && { detail }) } });
const sound = (data: string) => ({ type: 'input_audio', input_audio: { data } });
const dataUrl = (bytes: Uint8Array, type = 'image/jpeg') =>
  `data:${type};base64,${Buffer.from(bytes).toString('base64')}`;
const error = (status: number, code: string, param?: string, message = /./) =>
  expect.objectContaining({
    name: 'RequestError',
    status,
    code,
    ...(param === undefined ? {} : { param }),
    message: expect.stringMatching(message),
  });
const media = () => asked[0]?.messages.at(-1)?.content.filter((p) => p.type !== 'text') ?? [];

describe('the answer', () => {
  it('has OpenAI’s shape', async () => {
    const { draft, answer } = await run(user('hello'));
    expect(draft.segments).toEqual([{ id: 'choices.0.content', text: 'hello' }]);
    expect(answer).toEqual({
      id: expect.stringMatching(/^chatcmpl-[0-9a-f]{32}$/),
      object: 'chat.completion',
      created: expect.any(Number),
      model: 'gemma',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'hello', refusal: null },
          finish_reason: 'stop',
          logprobs: null,
        },
      ],
      usage: {
        prompt_tokens: 10,
        completion_tokens: 5,
        total_tokens: 15,
        prompt_tokens_details: { cached_tokens: 4 },
        completion_tokens_details: { reasoning_tokens: 0 },
      },
    });
    expect(draft.usage).toEqual({
      input_tokens: 10,
      input_tokens_details: { cached_tokens: 4 },
      output_tokens: 5,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 15,
    });
  });

  it('goes by the model’s own name, whatever name it was asked by', async () => {
    for (const model of ['gemma', 'alias', 'default'])
      expect((await run({ ...user('x'), model })).answer).toMatchObject({ model: 'gemma' });
    await expect(run({ ...user('x'), model: 'gpt-5' })).rejects.toEqual(
      error(404, 'model_not_found', 'model', /gemma/),
    );
  });

  it('has n choices, each with a seed of its own, and counts the prompt once', async () => {
    const { draft, answer } = await run(user('abc', { n: 3, seed: 7 }));
    expect(asked.map((r) => r.sampling.seed)).toEqual([7, 8, 9]);
    expect(draft.segments.map((s) => s.id)).toEqual(['choices.0.content', 'choices.1.content', 'choices.2.content']);
    expect(answer).toMatchObject({
      choices: [{ index: 0 }, { index: 1 }, { index: 2 }],
      usage: { prompt_tokens: 10, completion_tokens: 9, total_tokens: 19 },
    });
  });

  it('has reasoning, log-probabilities and tool calls', async () => {
    const reasoned = await run(user('x', { reasoning_effort: 'low', logprobs: true, top_logprobs: 1 }));
    expect(reasoned.answer).toMatchObject({
      choices: [
        {
          message: { content: 'x', reasoning_content: 'thinking of x' },
          logprobs: {
            content: [
              { token: 'x', logprob: -0.5, bytes: [120], top_logprobs: [{ token: 'x', logprob: -0.5, bytes: [] }] },
            ],
            refusal: null,
          },
        },
      ],
      usage: { completion_tokens_details: { reasoning_tokens: 3 } },
    });
    const calling = await run(user('x', { tools: [weather], logprobs: true }), {
      generate: async (r) => ({ ...(await echo(r)), text: '', toolCalls: calls(2), finishReason: 'tool_calls' }),
    });
    expect(calling.answer).toMatchObject({
      choices: [
        {
          message: {
            content: null,
            tool_calls: [
              { id: 'call_0', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome 0"}' } },
              { id: 'call_1', function: { arguments: '{"city":"Rome 1"}' } },
            ],
          },
          finish_reason: 'tool_calls',
          logprobs: { content: expect.any(Array) },
        },
      ],
    });
    expect(calling.draft.segments.map((s) => s.id)).toEqual([
      'choices.0.tool_calls.0.arguments',
      'choices.0.tool_calls.1.arguments',
    ]);
  });

  it('keeps one call without parallel calls, and then no log-probabilities of the other', async () => {
    const { answer } = await run(user('x', { tools: [weather], parallel_tool_calls: false, logprobs: true }), {
      generate: async (r) => ({ ...(await echo(r)), toolCalls: calls(2), finishReason: 'tool_calls' }),
    });
    expect(answer).toMatchObject({ choices: [{ message: { tool_calls: [{ id: 'call_0' }] }, logprobs: null }] });
    expect(JSON.stringify(answer)).not.toContain('Rome 1');
  });
});

const weather = { type: 'function', function: { name: 'weather', parameters: { type: 'object' } } };
const calls = (n: number) =>
  Array.from({ length: n }, (_, i) => ({ id: `call_${i}`, name: 'weather', arguments: `{"city":"Rome ${i}"}` }));

describe('after the filters', () => {
  const secret = 'write to joe@example.com';
  const everywhere = async (r: GenerateRequest): Promise<Generation> => ({
    ...(await echo(r)),
    toolCalls: [{ id: 'call_0', name: 'mail joe@example.com', arguments: '{"to":"joe@example.com"}' }],
  });

  it('is redacted in every text, and its log-probabilities are gone', async () => {
    const { answer } = await run(
      user(secret, { reasoning_effort: 'high', logprobs: true, n: 2 }),
      { generate: everywhere },
      'redact',
    );
    expect(JSON.stringify(answer)).not.toContain('joe');
    const choice = {
      message: {
        content: 'write to [email]',
        reasoning_content: 'thinking of write to [email]',
        tool_calls: [{ function: { name: 'mail [email]', arguments: '{"to":"[email]"}' } }],
      },
      finish_reason: 'stop',
      logprobs: null,
      content_filter_results: { personal_data: { filtered: false, detected: true, redacted: true } },
    };
    expect(answer).toMatchObject({ choices: [choice, choice] });
  });

  it('has nothing left of a choice of which anything is blocked', async () => {
    const { answer } = await run(user('fine', { logprobs: true }), { generate: everywhere }, 'block');
    expect(answer).toMatchObject({
      choices: [
        {
          index: 0,
          finish_reason: 'content_filter',
          logprobs: null,
          content_filter_results: { personal_data: { filtered: true, detected: true } },
        },
      ],
      usage: { completion_tokens: 4 },
    });
    expect(Object(answer).choices[0].message).toEqual({ role: 'assistant', content: null, refusal: null });
  });

  it('keeps the other choices', async () => {
    let i = 0;
    const { answer } = await run(
      user('x', { n: 2 }),
      { generate: async (r) => ({ ...(await echo(r)), text: i++ === 0 ? secret : 'fine' }) },
      'block',
    );
    expect(answer).toMatchObject({
      choices: [
        { message: { content: null }, finish_reason: 'content_filter' },
        { message: { content: 'fine' }, finish_reason: 'stop' },
      ],
    });
  });

  it('is not put together from judgements of something else', async () => {
    const { draft } = await run(user('x'));
    expect(() => draft.finish([])).toThrow(/judgements/);
    expect(() => draft.finish([{ id: 'other', text: 'x', blocked: false, results: {} }])).toThrow(/judgements/);
  });
});

describe('the engine call', () => {
  it('has the model card’s sampling and no thinking by default', async () => {
    await run(user('x'));
    expect(asked).toEqual([
      {
        messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }] }],
        thinking: false,
        sampling: { temperature: 1, topP: 0.95, topK: 64 },
        stop: [],
        format: { type: 'text' },
      },
    ]);
  });

  it('has what the request says instead', async () => {
    const schema = { type: 'object' };
    await run(
      user('x', {
        temperature: 0,
        top_p: 0.5,
        top_k: 0,
        min_p: 0.1,
        seed: 3,
        presence_penalty: 1,
        frequency_penalty: -1,
        repetition_penalty: 1.1,
        logit_bias: { 5: -100 },
        max_tokens: 5,
        max_completion_tokens: 9,
        stop: 'END',
        logprobs: true,
        reasoning_effort: 'none',
        response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
        tools: [weather],
        tool_choice: { type: 'function', function: { name: 'weather' } },
      }),
    );
    expect(asked[0]).toMatchObject({
      thinking: false,
      sampling: {
        temperature: 0,
        topP: 0.5,
        topK: 0,
        minP: 0.1,
        seed: 3,
        presencePenalty: 1,
        frequencyPenalty: -1,
        repetitionPenalty: 1.1,
        logitBias: { 5: -100 },
      },
      maxTokens: 9,
      stop: ['END'],
      logprobs: 0,
      format: { type: 'json_schema', schema },
      tools: [{ name: 'weather', parameters: { type: 'object' } }],
      toolChoice: { name: 'weather' },
    });
    await run(
      user('x', {
        temperature: null,
        max_tokens: null,
        reasoning_effort: null,
        response_format: { type: 'json_object' },
      }),
    );
    expect(asked[0]).toMatchObject({ sampling: { temperature: 1 }, thinking: false, format: { type: 'json_object' } });
    expect(asked[0]).not.toHaveProperty('maxTokens');
  });

  it('has developer as system, and tool answers with their tool’s name', async () => {
    await run({
      model: 'default',
      messages: [
        { role: 'developer', content: 'be brief' },
        { role: 'user', content: [{ type: 'text', text: 'weather?' }] },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'c1', type: 'function', function: { name: 'weather', arguments: '{}' } }],
        },
        { role: 'tool', tool_call_id: 'c1', content: 'sunny' },
      ],
    });
    expect(asked[0]?.messages).toEqual([
      { role: 'system', content: [{ type: 'text', text: 'be brief' }] },
      { role: 'user', content: [{ type: 'text', text: 'weather?' }] },
      { role: 'assistant', content: [], toolCalls: [{ id: 'c1', name: 'weather', arguments: '{}' }] },
      { role: 'tool', content: [{ type: 'text', text: 'sunny' }], toolCallId: 'c1', toolName: 'weather' },
    ]);
  });

  it('passes on what the engine could not do', async () => {
    const cause = new EngineError('context_overflow', 'too long');
    await expect(run(user('x'), { generate: async () => Promise.reject(cause) })).rejects.toBe(cause);
  });
});

describe('a wrong request', () => {
  const assistant = (args: string) => ({
    role: 'assistant',
    tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: args } }],
  });
  const cases: [string, Record<string, unknown>, string, string][] = [
    ['no model', { messages: [{ role: 'user', content: 'x' }] }, 'missing_required_parameter', 'model'],
    ['no messages', { model: 'gemma' }, 'missing_required_parameter', 'messages'],
    ['empty messages', { model: 'gemma', messages: [] }, 'invalid_value', 'messages'],
    [
      'an unknown role',
      { model: 'gemma', messages: [{ role: 'robot', content: 'x' }] },
      'invalid_value',
      'messages.0.role',
    ],
    ['an unknown parameter', user('x', { suffix: 'y' }), 'unknown_parameter', 'suffix'],
    ['streaming', user('x', { stream: true }), 'invalid_value', 'stream'],
    ['a hot temperature', user('x', { temperature: 3 }), 'invalid_value', 'temperature'],
    ['n = 0', user('x', { n: 0 }), 'invalid_value', 'n'],
    ['an unknown part', user([{ type: 'video' }]), 'invalid_value', 'messages.0.content.0.type'],
    [
      'a part without its URL',
      user([{ type: 'image_url', image_url: {} }]),
      'missing_required_parameter',
      'messages.0.content.0.image_url.url',
    ],
    ['top_logprobs alone', user('x', { top_logprobs: 2 }), 'invalid_value', 'top_logprobs'],
    ['a forced call without tools', user('x', { tool_choice: 'required' }), 'invalid_value', 'tool_choice'],
    [
      'a forced call of an unknown tool',
      user('x', { tools: [weather], tool_choice: { type: 'function', function: { name: 'f' } } }),
      'invalid_value',
      'tool_choice.function.name',
    ],
    ['a tool twice', user('x', { tools: [weather, weather] }), 'invalid_value', 'tools'],
    [
      'an answer to no call',
      { model: 'gemma', messages: [{ role: 'tool', tool_call_id: 'c', content: 'x' }] },
      'invalid_value',
      'messages.0.tool_call_id',
    ],
    [
      'arguments that are no object',
      { model: 'gemma', messages: [assistant('[1]')] },
      'invalid_value',
      'messages.0.tool_calls.0.function.arguments',
    ],
    [
      'arguments that are no JSON',
      { model: 'gemma', messages: [assistant('{')] },
      'invalid_value',
      'messages.0.tool_calls.0.function.arguments',
    ],
  ];
  it.each(cases)('with %s is refused by name', async (_, body, code, param) => {
    await expect(run(body)).rejects.toEqual(error(400, code, param));
    expect(asked).toEqual([]);
  });
});

describe('media', () => {
  const server = createServer((_, res) => res.end(picture));
  let port = 0;
  beforeAll(async () => {
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    port = Number(Object(server.address()).port);
  });
  afterAll(() => server.close());

  it('comes from data URLs, the web, uploads and buckets', async () => {
    const fetch = { allow: ['127.0.0.1'], allowHttp: true };
    const id = upload(picture);
    await run(
      user([
        { type: 'text', text: 'look' },
        image(dataUrl(picture)),
        image(`http://127.0.0.1:${port}/a.jpg`),
        image(id),
        image('s3://scans/1.jpg'),
        { type: 'file', file: { file_id: id } },
      ]),
      {},
      'none',
      { fetch },
    );
    expect(asked[0]?.messages[0]?.content.map((p) => p.type)).toEqual([
      'text',
      'image',
      'image',
      'image',
      'image',
      'image',
    ]);
    for (const part of media()) {
      if (part.type !== 'image') throw new Error('not a picture');
      expect(await sharp(part.data).metadata()).toMatchObject({ format: 'png', width: 624, height: 480 });
    }
  });

  it('is scaled to the token budget, and further for low detail', async () => {
    const sizes = async (content: unknown, options: ChatTaskOptions) => {
      await run(user(content), {}, 'none', options);
      return Promise.all(
        media().map(async (part) => {
          if (part.type !== 'image') throw new Error('not a picture');
          const { width, height } = await sharp(part.data).metadata();
          return (width / 48) * (height / 48);
        }),
      );
    };
    const [normal = 0, low = 0] = await sizes([image(dataUrl(picture)), image(dataUrl(picture), 'low')], {
      imageTokens: 1120,
    });
    expect(normal).toBe(130);
    expect(low).toBe(130);
    const large = await sharp({ create: { width: 3_000, height: 2_000, channels: 3, background: '#fff' } })
      .png()
      .toBuffer();
    const [most = 0, less = 0] = await sizes([image(dataUrl(large)), image(dataUrl(large), 'low')], {
      imageTokens: 1120,
    });
    expect(most).toBeGreaterThan(1_000);
    expect(most).toBeLessThanOrEqual(1_120);
    expect(less).toBeLessThanOrEqual(140);
  });

  it('takes recordings as base64, data URL and upload', async () => {
    const base64 = recording.toString('base64');
    await run(
      user([
        sound(base64),
        sound(dataUrl(recording, 'audio/wav')),
        sound(upload(recording)),
        { type: 'file', file: { file_id: upload(recording) } },
      ]),
    );
    const parts = media();
    expect(parts.map((p) => p.type)).toEqual(['audio', 'audio', 'audio', 'audio']);
    for (const part of parts) {
      if (part.type !== 'audio') throw new Error('not a recording');
      // 0.6 s at 8 kHz in, at 16 kHz out.
      expect(part.data).toHaveLength(44 + 2 * 9_600);
    }
  });

  const wrong: [string, unknown, number, string, string][] = [
    ['a private address', image('https://127.0.0.1/x'), 400, 'url_not_allowed', 'image_url.url'],
    ['the metadata service', image('http://169.254.169.254/'), 400, 'url_not_allowed', 'image_url.url'],
    ['a path', image('/etc/passwd'), 400, 'invalid_value', 'image_url.url'],
    ['a file URL', image('file:///etc/passwd'), 400, 'invalid_value', 'image_url.url'],
    ['a bucket outside the list', image('s3://other/x'), 400, 'url_not_allowed', 'image_url.url'],
    ['a file that is not there', image(newId('file-')), 404, 'file_not_found', 'image_url.url'],
    ['an id that is none', { type: 'file', file: { file_id: '../../etc' } }, 404, 'file_not_found', 'file.file_id'],
    ['a broken data URL', image('data:image/png;base64,%%%'), 400, 'invalid_data_url', 'image_url.url'],
    ['text for a picture', image('data:image/png;base64,aGVsbG8='), 400, 'invalid_image', 'image_url.url'],
    ['half a picture', image(dataUrl(picture.subarray(0, picture.length / 2))), 400, 'invalid_image', 'image_url.url'],
    ['broken base64', sound('a?b'), 400, 'invalid_base64', 'input_audio.data'],
    ['text for a recording', sound('aGVsbG8='), 400, 'unsupported_audio', 'input_audio.data'],
    ['half a recording', sound(recording.subarray(0, 30).toString('base64')), 400, 'invalid_audio', 'input_audio.data'],
    [
      'a text file',
      { type: 'file', file: { file_id: upload(Buffer.from('hello')) } },
      400,
      'unsupported_file',
      'file.file_id',
    ],
  ];
  it.each(wrong)('from %s is refused by name', async (_, part, status, code, param) => {
    await expect(
      run(user(['first', part].map((p) => (p === 'first' ? { type: 'text', text: 'x' } : p)))),
    ).rejects.toEqual(error(status, code, `messages.0.content.1.${param}`));
    expect(asked).toEqual([]);
  });

  it('is refused where the model takes none, before it is fetched', async () => {
    const never = { readFile: async () => Promise.reject(new Error('fetched')) };
    const id = newId('file-');
    await expect(run(user([image(id)]), { image: false, ...never })).rejects.toEqual(
      error(400, 'unsupported_modality', 'messages.0.content.0.image_url.url', /gemma/),
    );
    await expect(run(user([sound(id)]), { audio: false, ...never })).rejects.toEqual(
      error(400, 'unsupported_modality', 'messages.0.content.0.input_audio.data'),
    );
    await expect(run(user([{ type: 'file', file: { file_id: upload(picture) } }]), { image: false })).rejects.toEqual(
      error(400, 'unsupported_modality', 'messages.0.content.0.file.file_id'),
    );
  });

  it('is bounded in number, size and length', async () => {
    const three = [image(dataUrl(picture)), image(dataUrl(picture)), image(dataUrl(picture))];
    await expect(run(user(three), {}, 'none', { maxParts: 2 })).rejects.toEqual(
      error(400, 'invalid_value', 'messages', /at most 2/),
    );
    await expect(run(user([image(dataUrl(picture))]), {}, 'none', { maxBytes: 100 })).rejects.toEqual(
      error(400, 'media_too_large'),
    );
    await expect(run(user([image(dataUrl(picture))]), {}, 'none', { maxPixels: 100 })).rejects.toEqual(
      error(400, 'invalid_image'),
    );
    await expect(run(user([sound(recording.toString('base64'))]), {}, 'none', { audioSeconds: 0.5 })).rejects.toEqual(
      error(400, 'audio_too_long'),
    );
  });

  it('keeps its order and is prepared four at a time', async () => {
    let running = 0;
    let most = 0;
    const widths = Array.from({ length: 12 }, (_, i) => 480 + 48 * i);
    const pictures = await Promise.all(
      widths.map((width) =>
        sharp({ create: { width, height: 480, channels: 3, background: '#00f' } })
          .png()
          .toBuffer(),
      ),
    );
    const ids = pictures.map(upload);
    await run(
      user(ids.map((id) => image(id))),
      {
        readFile: async (id) => {
          most = Math.max(most, ++running);
          await new Promise((done) => setTimeout(done, 5));
          running--;
          return files.get(id) ?? null;
        },
      },
      'none',
      { imageTokens: 1120 },
    );
    expect(most).toBe(4);
    const seen = await Promise.all(
      media().map(async (p) => (p.type === 'image' ? (await sharp(p.data).metadata()).width : 0)),
    );
    expect(seen).toEqual(widths);
  });

  it('stops with the item', async () => {
    const reason = new Error('cancelled');
    await expect(run(user('x'), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const stop = new AbortController();
    const running = run(user([image(newId('file-'))]), {
      signal: stop.signal,
      readFile: async () => {
        stop.abort(reason);
        return picture;
      },
    });
    await expect(running).rejects.toBe(reason);
    expect(asked).toEqual([]);
  });
});

it('is found by its endpoint', () => {
  expect([...createTasks({ imageTokens: 70 }).keys()]).toEqual(['/v1/chat/completions']);
});
