import { EngineError, type GenerateRequest, type Generation } from '@batchmill/engine';
import { describe, expect, it } from 'vitest';
import { createTasks } from '../tasks.ts';
import { asked, echo, error, run, user } from './test-chat.ts';

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
      'choices.0.tokens',
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

  it('has no log-probabilities of what is in no other text', async () => {
    const spelling = async (r: GenerateRequest): Promise<Generation> => {
      const tokens = ['fine', ' and joe@', 'example.com', '\u{1f600}'].map((token) => ({
        token,
        logprob: -1,
        bytes: [...Buffer.from(token)],
        top: [],
      }));
      return { ...(await echo(r)), text: 'fine', logprobs: tokens };
    };
    const { draft, answer } = await run(user('x', { logprobs: true }), { generate: spelling }, 'redact');
    expect(draft.segments).toEqual([
      { id: 'choices.0.content', text: 'fine' },
      { id: 'choices.0.tokens', text: 'fine and joe@example.com\u{1f600}' },
    ]);
    expect(answer).toMatchObject({ choices: [{ message: { content: 'fine' }, logprobs: null }] });
    expect(JSON.stringify(answer)).not.toContain('joe');
  });

  it('says what was looked for of an empty answer too', async () => {
    const empty = async (r: GenerateRequest): Promise<Generation> => ({ ...(await echo(r)), text: '' });
    const { answer } = await run(user('x'), { generate: empty }, 'block');
    expect(answer).toMatchObject({
      choices: [
        { message: { content: '' }, content_filter_results: { personal_data: { filtered: false, detected: false } } },
      ],
    });
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
    expect(answer.choices[0]?.message).toEqual({ role: 'assistant', content: null, refusal: null });
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
    expect(() =>
      draft.finish([{ id: 'other', text: 'x', blocked: false, redacted: false, results: {}, findings: [] }]),
    ).toThrow(/judgements/);
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

it('is found by its endpoint', () => {
  expect([...createTasks({ imageTokens: 70 }).keys()]).toContain('/v1/chat/completions');
});
