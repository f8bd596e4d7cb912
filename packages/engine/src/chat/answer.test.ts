import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countReasoningTokens, parseAnswer } from './answer.ts';

const tools = [{ name: 'weather' }];
const calls = (raw: string, prefill = '') =>
  parseAnswer(raw, { tools, prefill }).toolCalls.map((call) => [call.name, JSON.parse(call.arguments)]);

describe('reasoning', () => {
  it('is taken out of the thought channel', () => {
    expect(parseAnswer('<|channel>thought\nHm. 2 < 3\n<channel|>Yes')).toEqual({
      text: 'Yes',
      reasoning: 'Hm. 2 < 3',
      toolCalls: [],
    });
  });
  it('may end with the answer, cut off', () => {
    expect(parseAnswer('<|channel>thought\nStill thin')).toEqual({ text: '', reasoning: 'Still thin', toolCalls: [] });
  });
  it('may come in pieces, with markers too many', () => {
    expect(parseAnswer('<|channel>thought\na<channel|>b<|channel>thought\nc<channel|><channel|>')).toEqual({
      text: 'b',
      reasoning: 'a\n\nc',
      toolCalls: [],
    });
  });
  it('is null when the channel is empty', () => {
    expect(parseAnswer('<|channel>thought\n<channel|>Yes')).toMatchObject({ text: 'Yes', reasoning: null });
  });
  it('is read in the form of other models, also when the prompt opened it', () => {
    expect(parseAnswer('<think>\na\n</think>\n\nb')).toMatchObject({ text: 'b', reasoning: 'a' });
    expect(parseAnswer('a\n</think>\n\nb', { prefill: '<think>\n' })).toMatchObject({ text: 'b', reasoning: 'a' });
  });
  it('is not seen in text about the tag', () => {
    expect(parseAnswer('Use the <think> tag.')).toMatchObject({ text: 'Use the <think> tag.', reasoning: null });
  });
  it('is counted by token, markers included', () => {
    const tokens = ['<|channel>', 'thought', '\n', 'a', '<channel|>', 'b', 'c'];
    expect(countReasoningTokens(tokens, '<|channel>', '<channel|>')).toBe(5);
    expect(countReasoningTokens([1, 2, 9, 4], 8, 9, true)).toBe(3);
    expect(countReasoningTokens([1, 2, 4], 8, 9)).toBe(0);
  });
});

describe('text', () => {
  it('is left alone without markers', () => {
    expect(parseAnswer('  a < b \n').text).toBe('  a < b \n');
  });
  it('loses the end of the turn', () => {
    expect(parseAnswer('Yes<turn|>\n<eos>').text).toBe('Yes');
  });
  it('gets its control tokens back where it quotes broken-up ones', () => {
    expect(parseAnswer('It is <\u2060eos>.', { controlTokens: ['<eos>'] }).text).toBe('It is <eos>.');
  });
});

describe('tool calls', () => {
  it('are read from Gemma 4’s form', () => {
    const raw =
      'Let me see.\n<|tool_call>call:weather{city:<|"|>a "b", {c}: d<|"|>,n:-1.5e3,ok:true,list:[1,<|"|>x<|"|>,[]],o:{k:null}}<tool_call|>';
    const answer = parseAnswer(raw, { tools });
    expect(answer.text).toBe('Let me see.');
    expect(calls(raw)).toEqual([
      ['weather', { city: 'a "b", {c}: d', n: -1500, ok: true, list: [1, 'x', []], o: { k: null } }],
    ]);
  });
  it('may be several, each with an id of its own', () => {
    const answer = parseAnswer('<|tool_call>call:a{}<tool_call|><|tool_call>call:b{}<tool_call|>', { tools });
    expect(answer.toolCalls.map((call) => call.name)).toEqual(['a', 'b']);
    expect(new Set(answer.toolCalls.map((call) => call.id)).size).toBe(2);
  });
  it('continue a prefill', () => {
    expect(calls('weather{n:1}<tool_call|>', '<|tool_call>call:')).toEqual([['weather', { n: 1 }]]);
    expect(calls('n:1}', '<|tool_call>call:weather{')).toEqual([['weather', { n: 1 }]]);
  });
  it.each([
    ['JSON inside', 'call:weather{"city": "Ur", "list": [1, 2,], "o": {"a": "b\\n\\"c\\""}}'],
    ['a whole JSON call', '{"name": "weather", "arguments": {"city":"Ur","list":[1,2],"o":{"a":"b\\n\\"c\\""}}}'],
    ['quoted keys', 'call:weather{<|"|>city<|"|>:Ur, list: [1, 2], o:{a:<|"|>b\n"c"<|"|>}}'],
  ])('are read leniently: %s', (_what, call) => {
    expect(calls(`<|tool_call>${call}<tool_call|>`)).toEqual([
      ['weather', { city: 'Ur', list: [1, 2], o: { a: 'b\n"c"' } }],
    ]);
  });
  it('are read from the tagged JSON of other models', () => {
    expect(calls('<tool_call>\n{"name": "weather", "arguments": {"city": "Ur"}}\n</tool_call>')).toEqual([
      ['weather', { city: 'Ur' }],
    ]);
    expect(calls('{"city": "Ur"}}\n</tool_call>', '<tool_call>\n{"name": "weather", "arguments": ')).toEqual([
      ['weather', { city: 'Ur' }],
    ]);
  });
  it('keep the digits of numbers', () => {
    const { toolCalls } = parseAnswer('<|tool_call>call:a{n:12345678901234567890}<tool_call|>', { tools });
    expect(toolCalls[0]?.arguments).toBe('{"n":12345678901234567890}');
  });
  it.each([
    'call:weather{city:<|"|>Ur',
    'call:weather{city:<|"|>Ur<|"|>',
    'call:weather{city}<tool_call|>',
    'weather now',
    `call:a{x:${'['.repeat(5000)}`,
  ])('stay in the text when broken: %s', (call) => {
    const answer = parseAnswer(`Well <|tool_call>${call}`, { tools });
    expect(answer.toolCalls).toEqual([]);
    expect(answer.text).toBe(`Well <|tool_call>${call}`);
    expect(parseAnswer(call.slice(5), { tools, prefill: '<|tool_call>call:' }).text).toBe(call.slice(5));
  });
  it('are text when there are no tools', () => {
    expect(parseAnswer('<|tool_call>call:a{}<tool_call|>').text).toBe('<|tool_call>call:a{}<tool_call|>');
  });
});

/** What the Gemma 4 template's `format_argument` writes. */
function gemma(value: unknown): string {
  if (typeof value === 'string') return `<|"|>${value}<|"|>`;
  if (Array.isArray(value)) return `[${value.map(gemma).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([key, item]) => `${key}:${gemma(item)}`)
      .join(',')}}`;
  }
  return JSON.stringify(value);
}

describe('any answer', () => {
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('<|"|>')),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => (Object.is(number, -0) ? 0 : number)),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      tie('object'),
    ),
    object: fc.dictionary(fc.stringMatching(/^[A-Za-z_][\w-]{0,9}$/), tie('value'), { maxKeys: 4 }),
  }));

  it('gives back the arguments that were written in Gemma’s form', () => {
    fc.assert(
      fc.property(json.object, (args) => {
        const expected: unknown = JSON.parse(JSON.stringify(args));
        expect(calls(`<|tool_call>call:weather${gemma(args)}<tool_call|>`)).toEqual([['weather', expected]]);
        expect(calls(`<tool_call>{"name":"weather","arguments":${JSON.stringify(args)}}</tool_call>`)).toEqual([
          ['weather', expected],
        ]);
      }),
    );
  });

  it('keeps every word, and never throws', () => {
    const pieces = fc.constantFrom(
      ...[
        '<|channel>',
        'thought\n',
        '<channel|>',
        '<|tool_call>',
        '<tool_call|>',
        'call:',
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
      ],
      ...[
        '<|"|>',
        '"',
        '\\',
        '<think>',
        '</think>',
        '<tool_call>',
        '</tool_call>',
        '"name"',
        '<turn|>',
        ' ',
        '\n',
        'WORD',
      ],
      ...['WORD', '{"name": "WORD", "arguments": {"WORD": 1}}', 'call:WORD{WORD:<|"|>WORD<|"|>}'],
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), fc.boolean(), (parts, withTools) => {
        let count = 0;
        const raw = parts.join('').replaceAll('WORD', () => `w${count++}q`);
        const answer = parseAnswer(raw, withTools ? { tools } : {});
        const all = answer.text + answer.reasoning + JSON.stringify(answer.toolCalls);
        for (let word = 0; word < count; word += 1) expect(all).toContain(`w${word}q`);
      }),
      { numRuns: 3000 },
    );
  });

  it('takes time in proportion to its length', () => {
    const started = performance.now();
    for (const piece of ['<|tool_call>call:a{b:<|"|>', '<|channel>', '<tool_call>{"a":[', '<|tool_call>call:a{b:{']) {
      parseAnswer(piece.repeat(20_000), { tools });
    }
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
