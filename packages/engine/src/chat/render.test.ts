import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Message, ToolDefinition } from '../port.ts';
import { EngineError } from '../port.ts';
import { type PromptRequest, renderPrompt } from './render.ts';

const template = (name: string) => readFileSync(new URL(`fixtures/${name}.jinja`, import.meta.url), 'utf8');
const gemma4 = template('gemma-4');
const gemma2 = template('gemma-2');
const qwen3 = template('qwen3');
const chatml =
  "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

const controlTokens = [
  ...['<bos>', '<eos>', '<pad>', '<|turn>', '<turn|>', '<|image>', '<image|>', '<|think|>', '<|tool>', '<tool|>'],
  ...['<|channel>', '<channel|>', '<|tool_call>', '<tool_call|>', '<|tool_response>', '<tool_response|>', '<|"|>'],
  ...['<|im_start|>', '<|im_end|>', '<start_of_turn>', '<end_of_turn>', '[INST]', '</s>'],
];
const options = { bosToken: '<bos>', eosToken: '<eos>', mediaMarker: '<__media__>', controlTokens };

const say = (role: Message['role'], text: string): Message => ({ role, content: [{ type: 'text', text }] });
const render = (source: string, request: PromptRequest) => renderPrompt(source, request, options).prompt;

const weather: ToolDefinition = {
  name: 'weather',
  description: 'The weather',
  parameters: {
    type: 'object',
    properties: {
      city: { type: 'string', description: 'City' },
      days: { anyOf: [{ type: 'integer' }, { type: 'null' }], title: 'Days' },
      where: { $ref: '#/$defs/Where' },
    },
    required: ['city'],
    $defs: { Where: { type: 'object', properties: { x: { type: ['number', 'null'] } } } },
  },
};
const called: Message[] = [
  say('user', 'Weather in Ur?'),
  { role: 'assistant', content: [], toolCalls: [{ id: 'a', name: 'weather', arguments: '{"city":"Ur","days":null}' }] },
  { role: 'tool', content: [{ type: 'text', text: 'Dry' }], toolCallId: 'a' },
];

describe('Gemma 4', () => {
  it('closes the thought when thinking is off, and writes no BOS', () => {
    expect(render(gemma4, { messages: [say('system', 'Be brief'), say('user', 'Hi')] })).toBe(
      '<|turn>system\nBe brief<turn|>\n<|turn>user\nHi<turn|>\n<|turn>model\n<|channel>thought\n<channel|>',
    );
  });

  it('switches thinking on', () => {
    expect(render(gemma4, { messages: [say('user', 'Hi')], thinking: true })).toBe(
      '<|turn>system\n<|think|>\n<turn|>\n<|turn>user\nHi<turn|>\n<|turn>model\n',
    );
  });

  it('keeps BOS where the tokenizer adds none', () => {
    const { prompt } = renderPrompt(gemma4, { messages: [say('user', 'Hi')] }, { ...options, addsBos: false });
    expect(prompt).toMatch(/^<bos><\|turn>user/);
  });

  it('puts a marker where each picture and recording is, in order', () => {
    const image = new Uint8Array([1]);
    const audio = new Uint8Array([2]);
    const rendered = renderPrompt(
      gemma4,
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'image', data: image },
              { type: 'text', text: 'one' },
              { type: 'text', text: 'two <__media__>' },
              { type: 'audio', data: audio },
            ],
          },
        ],
      },
      options,
    );
    expect(rendered.prompt).toContain('<|turn>user\n<__media__>one\ntwo <\u2060__media__><__media__><turn|>');
    expect(rendered.media).toEqual([
      { type: 'image', data: image },
      { type: 'audio', data: audio },
    ]);
  });

  it('shows tools, with schemas made plain', () => {
    expect(render(gemma4, { messages: [say('user', 'Hi')], tools: [weather] })).toBe(
      '<|turn>system\n<|tool>declaration:weather{description:<|"|>The weather<|"|>,parameters:{properties:{' +
        'city:{description:<|"|>City<|"|>,type:<|"|>STRING<|"|>},days:{nullable:true,type:<|"|>INTEGER<|"|>},' +
        'where:{properties:{x:{nullable:true,type:<|"|>NUMBER<|"|>}},type:<|"|>OBJECT<|"|>}},' +
        'required:[<|"|>city<|"|>],type:<|"|>OBJECT<|"|>}}<tool|><turn|>\n' +
        '<|turn>user\nHi<turn|>\n<|turn>model\n<|channel>thought\n<channel|>',
    );
  });

  it('renders calls and their results, also with the first templates', () => {
    const turn =
      '<|turn>model\n<|tool_call>call:weather{city:<|"|>Ur<|"|>}<tool_call|>' +
      '<|tool_response>response:weather{value:<|"|>Dry<|"|>}<tool_response|>';
    expect(render(gemma4, { messages: called, tools: [weather] })).toMatch(endsWith(turn));
    expect(render(template('gemma-4-older'), { messages: called, tools: [weather] })).toContain(turn);
    const after = [...called, say('assistant', 'It is dry'), say('user', 'Thanks')];
    expect(render(template('gemma-4-older'), { messages: after, tools: [weather] })).toContain(
      `${turn}It is dry<turn|>`,
    );
  });

  it('opens the model’s turn again after text with a call', () => {
    const [user, call, result] = called;
    if (user === undefined || call === undefined || result === undefined) throw new Error('no messages');
    const spoken = { ...call, content: say('assistant', 'Let me see').content };
    expect(render(gemma4, { messages: [user, spoken, result], tools: [weather] })).toMatch(
      endsWith('Let me see<turn|>\n<|turn>model\n<|channel>thought\n<channel|>'),
    );
  });
});

describe('tool choice', () => {
  const messages = [say('user', 'Hi')];
  it('none shows no tools', () => {
    expect(render(gemma4, { messages, tools: [weather], toolChoice: 'none' })).toBe(render(gemma4, { messages }));
  });
  it('required begins a call', () => {
    const request: PromptRequest = { messages, tools: [weather, { name: 'other' }], toolChoice: 'required' };
    expect(renderPrompt(gemma4, request, options).prefill).toBe('<|tool_call>call:');
    expect(render(gemma4, request)).toMatch(endsWith('<channel|><|tool_call>call:'));
    expect(render(qwen3, request)).toMatch(endsWith('<tool_call>\n{"name": "'));
  });
  it('a name begins the call of that tool', () => {
    const request: PromptRequest = { messages, tools: [weather, { name: 'other' }], toolChoice: { name: 'other' } };
    expect(renderPrompt(gemma4, request, options).prefill).toBe('<|tool_call>call:other{');
    expect(renderPrompt(qwen3, request, options).prefill).toBe('<tool_call>\n{"name": "other", "arguments": ');
  });
  it('a name no tool has is refused', () => {
    expect(() => render(gemma4, { messages, tools: [weather], toolChoice: { name: 'x' } })).toThrow(
      expect.objectContaining({ code: 'bad_request' }),
    );
  });
  it('tools are refused by models that have none', () => {
    expect(() => render(gemma2, { messages, tools: [weather] })).toThrow(
      expect.objectContaining({ code: 'unsupported' }),
    );
  });
});

describe('other templates', () => {
  it('ChatML', () => {
    expect(render(chatml, { messages: [say('system', 'S'), say('user', 'U')] })).toBe(
      '<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n',
    );
  });
  it('the system’s words go to the user’s turn where no system role is known', () => {
    expect(render(gemma2, { messages: [say('system', 'S'), say('user', 'U')] })).toBe(
      '<start_of_turn>user\nS\n\nU<end_of_turn>\n<start_of_turn>model\n',
    );
  });
  it('roles are made to alternate where that is demanded', () => {
    const messages = [
      say('assistant', 'Hello'),
      say('user', 'a'),
      say('user', 'b'),
      say('assistant', 'c'),
      say('system', 'S'),
    ];
    expect(render(gemma2, { messages })).toBe(
      '<start_of_turn>user\nS<end_of_turn>\n<start_of_turn>model\nHello<end_of_turn>\n' +
        '<start_of_turn>user\na\n\nb<end_of_turn>\n<start_of_turn>model\nc<end_of_turn>\n<start_of_turn>model\n',
    );
  });
  it('a template that reads only parts gets parts', () => {
    const parts =
      '{% for m in messages %}{{ m.role }}:{% for c in m.content %}{% if c.type == "text" %}{{ c.text }}{% endif %}{% endfor %};{% endfor %}';
    expect(render(parts, { messages: [say('user', 'U')] })).toBe('user:U;');
  });
  it('a thought that the template opens is told to the parser', () => {
    const thinks = `${chatml}{{ '<think>\\n' }}`;
    expect(renderPrompt(thinks, { messages: [say('user', 'U')] }, options).prefill).toBe('<think>\n');
  });
});

describe('refusals are bad requests', () => {
  const refused = (source: string, messages: Message[]) => () => render(source, { messages });
  it.each([
    ['the template’s own', refused("{{ raise_exception('No, sir') }}", [say('user', 'U')]), 'No, sir'],
    [
      'arguments that are no JSON',
      refused(gemma4, [{ role: 'assistant', content: [], toolCalls: [{ id: 'a', name: 'f', arguments: '{' }] }]),
      'arguments',
    ],
    [
      'arguments nested beyond reason',
      refused(gemma4, [
        {
          role: 'assistant',
          content: [],
          toolCalls: [{ id: 'a', name: 'f', arguments: `${'{"a":'.repeat(9000)}1${'}'.repeat(9000)}` }],
        },
      ]),
      'cannot be rendered',
    ],
  ])('%s', (_what, refuse, words) => {
    expect(refuse).toThrow(EngineError);
    expect(refuse).toThrow(expect.objectContaining({ code: 'bad_request', message: expect.stringContaining(words) }));
  });
  it('but a template that cannot be read is the model’s fault', () => {
    expect(refused('{% if %}', [say('user', 'U')])).toThrow(expect.objectContaining({ code: 'model_unusable' }));
  });
});

describe('any text', () => {
  /** As Mistral's templates do with the ids of calls. */
  const printsAll = `${chatml}{% for m in messages %}{% if m.tool_call_id %} {{ m.tool_call_id }} {{ m.name }} {% endif %}{% if m.tool_calls %}{% for c in m.tool_calls %} {{ c.id }} {{ c.function.name }} {% endfor %}{% endif %}{% endfor %}{% for t in tools %}{{ t.function.name }}{% endfor %}`;
  const hostile = fc
    .array(
      fc.oneof(
        fc.constantFrom(...controlTokens, '<__media__>', '<', '|', '>', '<|', 'turn|>', '\n', '<|Turn>', '\u2060'),
        fc.string({ maxLength: 5 }),
      ),
      { maxLength: 8 },
    )
    .map((parts) => parts.join(''));
  const tokens = [...controlTokens, '<__media__>'];
  /** How often each control token stands in a prompt. */
  const counts = (prompt: string) => tokens.map((token) => prompt.split(token).length - 1);

  it.each([
    ['Gemma 4', gemma4],
    ['Gemma 4, first template', template('gemma-4-older')],
    ['Qwen 3', qwen3],
    ['one that prints ids and names', printsAll],
  ])('brings no control token of its own into a prompt: %s', (_name, source) => {
    const request = (text: string): PromptRequest => ({
      messages: [
        say('system', `s${text}`),
        {
          role: 'user',
          content: [
            { type: 'text', text: `u${text}` },
            { type: 'image', data: new Uint8Array() },
            { type: 'text', text },
            { type: 'text', text },
          ],
        },
        {
          role: 'assistant',
          content: [{ type: 'text', text: `a${text}` }],
          toolCalls: [
            { id: `i${text}`, name: `f${text}`, arguments: JSON.stringify({ [`k${text}`]: [text, { text }] }) },
          ],
        },
        {
          role: 'tool',
          content: [{ type: 'text', text: `t${text}` }],
          toolCallId: `i${text}`,
          toolName: `n${text}`,
        },
        say('user', `v${text}`),
      ],
      tools: [
        {
          name: `f${text}`,
          description: `d${text}`,
          parameters: {
            type: 'object',
            properties: { [`p${text}`]: { type: 'string', description: `e${text}`, enum: [`x${text}`] } },
            required: [`p${text}`],
          },
        },
      ],
    });
    const plain = counts(render(source, request('plain')));
    fc.assert(
      fc.property(hostile, (text) => {
        expect(counts(render(source, request(text)))).toEqual(plain);
      }),
      { numRuns: 150 },
    );
  });
});

function endsWith(text: string): RegExp {
  return new RegExp(`${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`);
}
