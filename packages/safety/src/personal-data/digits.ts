import { isDigit } from './span.ts';

/** Digits with separators between, as numbers of cards and phones are written: `+49 (0)30 901-820`. */
export interface Run {
  /** A `+` stands before it. */
  plus: boolean;
  groups: Group[];
}

export interface Group {
  start: number;
  end: number;
  digits: string;
  /** What stands between the group before (or the run's beginning) and this one. */
  before: string;
}

const SEPARATORS = ' -./()';
/** `) - ` is the longest that people write. */
const MAX_SEPARATOR = 4;

/** All runs of a text, from left to right. Linear. */
export function* digitRuns(text: string): Generator<Run> {
  let at = 0;
  // The search of the engine's own is several times as fast as a loop, and most of most texts are no digits.
  for (const digit = /[0-9]/g; digit.test(text); digit.lastIndex = at) {
    at = digit.lastIndex - 1;
    const open = at > 0 && text[at - 1] === '(' ? '(' : '';
    const run: Run = { plus: text[at - 1 - open.length] === '+', groups: [] };
    let before = open;
    for (;;) {
      const start = at;
      while (at < text.length && isDigit(text.charCodeAt(at))) at++;
      run.groups.push({ start, end: at, digits: text.slice(start, at), before });
      let next = at;
      while (next < text.length && next - at < MAX_SEPARATOR && SEPARATORS.includes(text[next] ?? '')) next++;
      if (next === at || !isDigit(text.charCodeAt(next))) break;
      before = text.slice(at, next);
      at = next;
    }
    yield run;
  }
}
