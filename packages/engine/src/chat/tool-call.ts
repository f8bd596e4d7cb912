/**
 * Reads the tool calls models write.
 *
 * Gemma 4: `call:NAME{key:<|"|>text<|"|>,n:1,list:[…],object:{…}}` (its chat template's `format_argument`; llama.cpp's
 * `common_chat_params_init_gemma4` has the same grammar). Models stray towards JSON, so JSON strings and keys, Python's
 * constants, bare words and trailing commas are taken too.
 */
export interface ReadCall {
  name: string;
  /** JSON text of an object. Numbers keep the digits the model wrote. */
  arguments: string;
  /** Where the call ends in the text read. */
  end: number;
}

const QUOTE = '<|"|>';
/** Deeper nesting is taken for a broken call: no schema needs it, and reading is recursive. */
const DEEPEST = 100;

class BrokenCall extends Error {}

/**
 * The Gemma 4 call at `start` (just behind `<|tool_call>`), or null when what stands there cannot be read as one.
 * Never throws.
 */
export function readGemmaCall(text: string, start: number): ReadCall | null {
  const head = /\s*call:\s*([^\s{}<>"]+)\s*/y;
  head.lastIndex = start;
  const name = head.exec(text)?.[1];
  if (name === undefined) return readJsonCall(text, start);
  if (text[head.lastIndex] !== '{') {
    // A call without arguments is whole only if the call is closed there.
    return text.startsWith('<tool_call|>', head.lastIndex) ? { name, arguments: '{}', end: head.lastIndex } : null;
  }
  return attempt(text, head.lastIndex, (reader) => ({ name, arguments: reader.object(0), end: reader.at }));
}

/** The call `{"name": …, "arguments": {…}}` at `start` (behind `<tool_call>`, as Hermes and Qwen write it), or null. */
export function readJsonCall(text: string, start: number): ReadCall | null {
  return attempt(text, start, (reader) => {
    reader.space();
    const members = new Map(reader.members(0));
    const name: unknown = JSON.parse(members.get('name') ?? 'null');
    let given = members.get('arguments') ?? members.get('parameters') ?? '{}';
    // Some models write the arguments as a string of JSON.
    if (given.startsWith('"')) given = new Reader(String(JSON.parse(given)), 0).object(0);
    // A member with no place in a call would be lost: such a call stays in the text.
    const known = [...members.keys()].every((key) => CALL_MEMBERS.has(key));
    if (typeof name !== 'string' || !given.startsWith('{') || !known) return null;
    return { name, arguments: given, end: reader.at };
  });
}

const CALL_MEMBERS = new Set(['name', 'arguments', 'parameters', 'id', 'type']);

function attempt(text: string, start: number, read: (reader: Reader) => ReadCall | null): ReadCall | null {
  try {
    return read(new Reader(text, start));
  } catch (error) {
    if (error instanceof BrokenCall || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Turns the text into JSON text as it reads. Every method throws `BrokenCall` where the text ends or makes no sense. */
class Reader {
  readonly text: string;
  at: number;

  constructor(text: string, at: number) {
    this.text = text;
    this.at = at;
  }

  object(depth: number): string {
    return `{${this.members(depth)
      .map(([key, value]) => `${JSON.stringify(key)}:${value}`)
      .join(',')}}`;
  }

  /** An object's keys, each with the JSON text of its value. */
  members(depth: number): [string, string][] {
    return this.list('{', '}', depth, () => {
      const key = this.key();
      this.space();
      if (!this.take(':')) throw new BrokenCall();
      return [key, this.value(depth + 1)];
    });
  }

  space(): void {
    this.match(/\s*/y);
  }

  private value(depth: number): string {
    this.space();
    const next = this.text[this.at];
    if (next === '{') return this.object(depth);
    if (next === '[') return `[${this.list('[', ']', depth, () => this.value(depth + 1)).join(',')}]`;
    if (this.text.startsWith(QUOTE, this.at)) return JSON.stringify(this.quoted());
    if (next === '"') return JSON.stringify(this.jsonString());
    const word = this.match(/[^,{}[\]<>\n"]+/y).trim();
    if (/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(word)) return word;
    if (/^(?:true|false|null|True|False|None)$/.test(word)) return word === 'None' ? 'null' : word.toLowerCase();
    if (word === '') throw new BrokenCall();
    return JSON.stringify(word);
  }

  private list<T>(open: string, close: string, depth: number, item: () => T): T[] {
    if (depth > DEEPEST || !this.take(open)) throw new BrokenCall();
    const items: T[] = [];
    for (;;) {
      this.space();
      if (this.take(close)) return items;
      items.push(item());
      this.space();
      if (!this.take(',') && this.text[this.at] !== close) throw new BrokenCall();
    }
  }

  private key(): string {
    if (this.text.startsWith(QUOTE, this.at)) return this.quoted();
    if (this.text[this.at] === '"') return this.jsonString();
    return this.match(/[^:,{}<>"]+/y).trim();
  }

  private quoted(): string {
    const from = this.at + QUOTE.length;
    const to = this.text.indexOf(QUOTE, from);
    if (to < 0) throw new BrokenCall();
    this.at = to + QUOTE.length;
    return this.text.slice(from, to);
  }

  private jsonString(): string {
    // Models leave line breaks unescaped in strings: JSON.parse would refuse them.
    const raw = this.match(/"(?:[^"\\]|\\[\s\S])*"/y);
    const value: unknown = JSON.parse(raw.replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t'));
    return String(value);
  }

  private take(character: string): boolean {
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  private match(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) throw new BrokenCall();
    this.at = pattern.lastIndex;
    return found[0];
  }
}
