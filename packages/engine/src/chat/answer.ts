import { randomUUID } from 'node:crypto';
import type { ToolCall, ToolDefinition } from '../port.ts';
import { controlTokenGuard } from './control-tokens.ts';
import { type ReadCall, readGemmaCall, readJsonCall } from './tool-call.ts';

export interface Answer {
  /** The answer without reasoning and tool calls. */
  text: string;
  reasoning: string | null;
  toolCalls: ToolCall[];
}

export interface AnswerOptions {
  /** What `renderPrompt` put into the prompt of the answer itself. */
  prefill?: string;
  /** Without tools nothing is taken for a tool call. */
  tools?: readonly ToolDefinition[] | undefined;
  /** As given to `renderPrompt`: joiners it put into quoted control tokens are taken out again. */
  controlTokens?: readonly string[];
}

/** Ends of turns, which some engines write out. Only at the very end of an answer. */
const TRAILING =
  /(?:\s*(?:<turn\|>|<\|tool_response>|<eos>|<end_of_turn>|<\|im_end\|>|<\|eot_id\|>|<\|endoftext\|>))+\s*$/;

const MARKER = /<\|channel>|<channel\|>|<\|tool_call>|<tool_call\|>|<tool_call>|<think>/g;

/**
 * Takes an answer apart: Gemma 4's thought channel and tool calls, the `<think>` and `<tool_call>` tags of other models.
 * Lenient: it never throws, and what cannot be read (a broken call, a thought without an end) is kept as text or
 * reasoning, so that nothing a model wrote is lost but markers and white space around them.
 */
export function parseAnswer(raw: string, options: AnswerOptions = {}): Answer {
  const prefill = options.prefill ?? '';
  const trailing = TRAILING.exec(raw);
  const full = prefill + (trailing === null ? raw : raw.slice(0, trailing.index));
  const restore = (text: string) =>
    options.controlTokens === undefined ? text : controlTokenGuard(options.controlTokens, '').restore(text);
  const takesTools = (options.tools?.length ?? 0) > 0;

  const texts: string[] = [];
  const thoughts: string[] = [];
  const toolCalls: ToolCall[] = [];
  let at = 0;
  let marked = trailing !== null;
  // Text is what stands between the markers; a prefill that was not read as anything is ours, not the model's.
  const keep = (from: number, to: number) => texts.push(full.slice(Math.max(from, prefill.length), to));

  MARKER.lastIndex = 0;
  for (let found = MARKER.exec(full); found !== null; found = MARKER.exec(full)) {
    const start = found.index;
    const piece = readMarked(full, start, found[0], takesTools, at === 0 && full.slice(0, start).trim() === '');
    if (piece === null) continue;
    keep(at, start);
    if (piece.thought !== undefined) thoughts.push(piece.thought);
    if (piece.call !== undefined) {
      toolCalls.push({
        id: `call_${randomUUID().replaceAll('-', '')}`,
        name: restore(piece.call.name),
        arguments: restore(piece.call.arguments),
      });
    }
    marked = true;
    at = piece.end;
    MARKER.lastIndex = at;
  }
  keep(at, full.length);

  const text = restore(texts.join(''));
  const reasoning = thoughts
    .map((thought) => thought.trim())
    .filter((thought) => thought !== '')
    .join('\n\n');
  return { text: marked ? text.trim() : text, reasoning: reasoning === '' ? null : restore(reasoning), toolCalls };
}

interface Piece {
  end: number;
  thought?: string;
  call?: ReadCall;
}

/** What a marker at `start` opens, or null when it is to stay in the text. */
function readMarked(text: string, start: number, marker: string, takesTools: boolean, first: boolean): Piece | null {
  const inside = start + marker.length;
  switch (marker) {
    case '<|channel>': {
      const head = /\s*thought\b[^\S\n]*\n?/y;
      head.lastIndex = inside;
      // Of another channel only the marker goes.
      if (head.exec(text) === null) return { end: inside };
      return thought(text, head.lastIndex, '<channel|>', takesTools ? '<|tool_call>' : null);
    }
    case '<channel|>':
      // Gemma 4 writes one too many at times.
      return { end: inside };
    case '<think>':
      // Only an answer that begins with it thinks; further on it is text about a tag.
      return first ? thought(text, inside, '</think>', null) : null;
    case '<|tool_call>':
      return takesTools
        ? called(text, readGemmaCall(text.slice(0, nextCall(text, inside)), inside), '<tool_call|>')
        : null;
    case '<tool_call>':
      return takesTools ? called(text, readJsonCall(text, inside), '</tool_call>') : null;
    default:
      return null;
  }
}

function thought(text: string, from: number, close: string, interrupt: string | null): Piece {
  const closed = text.indexOf(close, from);
  if (closed >= 0) return { thought: text.slice(from, closed), end: closed + close.length };
  const call = interrupt === null ? -1 : text.indexOf(interrupt, from);
  const end = call >= 0 ? call : text.length;
  return { thought: text.slice(from, end), end };
}

function called(text: string, call: ReadCall | null, close: string): Piece | null {
  if (call === null) return null;
  let end = call.end;
  while (/\s/.test(text[end] ?? '')) end += 1;
  return { call, end: text.startsWith(close, end) ? end + close.length : call.end };
}

/** Where the next call begins: a broken call is read no further, so that many broken ones take no quadratic time. */
function nextCall(text: string, from: number): number {
  const next = text.indexOf('<|tool_call>', from);
  return next < 0 ? text.length : next;
}

/**
 * How many of an answer's tokens are reasoning, the markers included. Works on token ids as on token texts.
 * @param opened the prompt already opened the thought (`prefill` ends with the opening marker).
 */
export function countReasoningTokens<T>(tokens: readonly T[], open: T, close: T, opened = false): number {
  let inside = opened;
  let count = 0;
  for (const token of tokens) {
    if (token === open) inside = true;
    if (inside) count += 1;
    if (token === close) inside = false;
  }
  return count;
}
