import jsonata from 'jsonata';
import { ExpressionError } from './expression-error.ts';

/** A template with its expressions compiled; `of` fills it in. */
export interface Filled {
  /** The value with every expression replaced by what it gives. @throws ExpressionError */
  of(input: Record<string, unknown>): Promise<unknown>;
}

/**
 * Milliseconds, calls within calls, and values in a sequence: where an expression is stopped with a message that says why. What
 * gets around this (a regular expression, a built-in function that makes much of little) ends with its process: see `sandbox.ts`.
 */
const BOUNDS = { timeout: 2_000, stack: 200, sequence: 100_000 };
const LONGEST = 10_000;
const EXPRESSION = /\{\{(.+?)\}\}/gs;

/**
 * Compiles the expressions (https://jsonata.org) in the strings of a JSON value. A string that is one expression,
 * `"{{ object.size }}"`, becomes what it gives, of any type; in a longer one, `"s3://{{ object.bucket }}/{{ object.key }}"`, each
 * is put in as text. A property whose expression gives nothing is left out.
 * @throws ExpressionError that says where and what.
 */
export function compile(value: unknown, at = 'body'): Filled {
  if (typeof value === 'string') return compileString(value, at);
  if (Array.isArray(value)) {
    const items = value.map((item, i) => compile(item, `${at}[${i}]`));
    return { of: async (input) => (await all(items, input)).filter((item) => item !== undefined) };
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, item]) => [key, compile(item, `${at}.${key}`)] as const);
    return {
      of: async (input) => {
        const filled = await all(
          entries.map(([, item]) => item),
          input,
        );
        const named = entries.map(([key], i) => [key, filled[i]] as const);
        return Object.fromEntries(named.filter(([, item]) => item !== undefined));
      },
    };
  }
  return { of: async () => value };
}

/** One expression alone, as `when` has it. @throws ExpressionError */
export function compileExpression(text: string, at: string): Filled {
  if (text.length > LONGEST) throw new ExpressionError(`${at}: an expression may have ${LONGEST} characters at most`);
  let expression: jsonata.Expression;
  try {
    expression = jsonata(text, BOUNDS);
  } catch (error) {
    throw new ExpressionError(`${at}: '${text.trim()}' is no JSONata expression: ${reason(error)}`);
  }
  return {
    of: async (input) => {
      try {
        // A copy: JSONata marks the arrays it is given.
        const given: unknown = await expression.evaluate(structuredClone(input));
        return given === undefined ? undefined : JSON.parse(JSON.stringify(given) ?? 'null');
      } catch (error) {
        throw new ExpressionError(`${at}: '${text.trim()}' failed: ${reason(error)}`);
      }
    },
  };
}

function compileString(text: string, at: string): Filled {
  const found = [...text.matchAll(EXPRESSION)];
  const [first] = found;
  if (first === undefined) return { of: async () => text };
  if (found.length === 1 && first[0] === text.trim()) return compileExpression(first[1] ?? '', at);
  const parts: (string | Filled)[] = [];
  let end = 0;
  for (const match of found) {
    parts.push(text.slice(end, match.index), compileExpression(match[1] ?? '', at));
    end = match.index + match[0].length;
  }
  parts.push(text.slice(end));
  return {
    of: async (input) => {
      const filled = await Promise.all(parts.map((part) => (typeof part === 'string' ? part : part.of(input))));
      return filled
        .map((part) => (typeof part === 'string' ? part : part === undefined ? '' : JSON.stringify(part)))
        .join('');
    },
  };
}

const all = (items: readonly Filled[], input: Record<string, unknown>) =>
  Promise.all(items.map((item) => item.of(input)));

function reason(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
}
