/** A vocabulary with Gemma 4's control tokens and byte-pair merges (`▁` stands for a space), of any size. */
export interface Vocabulary {
  tokens: string[];
  /** `tokenizer.ggml.token_type` of each token. */
  types: number[];
  /** In order of rank: `left right`. */
  merges: string[];
  id(token: string): number;
  /** Tokens a person would read: no control, byte or unused tokens. */
  readable(id: number): boolean;
}

const TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

// <pad> must be 0: pictures and recordings take their per-layer embedding from row 0.
const CONTROL = ['<pad>', '<eos>', '<bos>', '<unk>', '<mask>', '<|turn>', '<turn|>', '<|image>', '<image|>'].concat([
  '<|audio>',
  '<audio|>',
  '<|image|>',
  '<|audio|>',
  '<|video|>',
  '<|think|>',
  '<|tool>',
  '<tool|>',
]);
const USER_DEFINED = [
  '<|channel>',
  '<channel|>',
  '<|tool_call>',
  '<tool_call|>',
  '<|tool_response>',
  '<tool_response|>',
].concat(['<|"|>']);

const ENGLISH_MERGES = [
  't h',
  'th e',
  'i n',
  'a n',
  'an d',
  'e r',
  'o n',
  '▁ the',
  '▁ a',
  'u s',
  'us er',
  'm o',
  'd e',
].concat(['mo de', 'mode l', 's y', 'l l', 'o u', '▁ in']);

const LETTERS = Array.from('abcdefghijklmnopqrstuvwxyz');

/**
 * @param size tokens in all; a multiple of 32. From about 450 on, made-up words (every pair of letters, then every three,
 * …) fill it.
 */
export function vocabulary(size: number): Vocabulary {
  const tokens: string[] = [];
  const types: number[] = [];
  const merges: string[] = [];
  const ids = new Map<string, number>();
  const add = (token: string, type: number) => {
    if (ids.has(token)) return;
    ids.set(token, tokens.length);
    tokens.push(token);
    types.push(type);
  };

  for (const token of CONTROL) add(token, token === '<unk>' ? TYPE.unknown : TYPE.control);
  for (const token of USER_DEFINED) add(token, TYPE.userDefined);
  for (let byte = 0; byte < 256; byte += 1) {
    add(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`, TYPE.byte);
  }
  for (const token of ['\n', '\n\n', '▁']) add(token, TYPE.normal);
  for (let code = 33; code < 127; code += 1) add(String.fromCharCode(code), TYPE.normal);
  for (const merge of ENGLISH_MERGES) {
    add(merge.replace(' ', ''), TYPE.normal);
    merges.push(merge);
  }
  if (tokens.length > size) throw new Error(`A vocabulary has at least ${tokens.length} tokens`);

  const known = new Set(merges);
  let stems = [...LETTERS, '▁'];
  while (tokens.length + 32 < size) {
    const words: string[] = [];
    for (const stem of stems) {
      for (const letter of LETTERS) {
        if (tokens.length === size) break;
        add(stem + letter, TYPE.normal);
        words.push(stem + letter);
        if (!known.has(`${stem} ${letter}`)) merges.push(`${stem} ${letter}`);
      }
    }
    stems = words;
  }
  while (tokens.length < size) add(`<unused${tokens.length}>`, TYPE.unused);

  return {
    tokens,
    types,
    merges,
    id(token) {
      const id = ids.get(token);
      if (id === undefined) throw new Error(`No token ${token}`);
      return id;
    },
    readable: (id) => types[id] === TYPE.normal,
  };
}
