import {
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  type ParsedNode,
  parseDocument,
} from 'yaml';

/** Something to put right in a policy file. Lines and columns count from 1, columns in UTF-16 units. */
export interface Problem {
  line: number;
  column: number;
  /** What is wrong and what to do. */
  sentence: string;
}

export type Path = readonly (string | number)[];

/** A YAML text as a value, and where in the text everything stands. */
export interface Source {
  /** `undefined` if the text cannot be read at all. */
  value: unknown;
  problems: Problem[];
  /** A problem with the value at the path, or with its key; what is not there is a problem of what it should be in. */
  problem(path: Path, part: 'key' | 'value', sentence: string): Problem;
}

/** In bytes of UTF-8. */
const LARGEST = 1_000_000;
const DEEPEST = 64;

/** Reads one YAML 1.2 document: no aliases, no tags, no key twice. Whatever the text is, reading it takes a bounded time. */
export function readSource(text: string): Source {
  const lines = new LineCounter();
  const problems: Problem[] = [];
  const at = (offset: number, sentence: string): Problem => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: line === 0 ? 1 : col, sentence };
  };
  const unreadable = (): Source => ({ value: undefined, problems, problem: (_, __, sentence) => at(0, sentence) });

  if (Buffer.byteLength(text) > LARGEST) {
    problems.push(at(0, `The file is larger than ${LARGEST / 1e6} MB. Policies are not: take long word lists apart`));
    return unreadable();
  }
  if (deeperThan(text, DEEPEST)) {
    problems.push(at(0, `This is nested more than ${DEEPEST} deep. Policies are not: write it flatter`));
    return unreadable();
  }
  // Keys are compared here below: the library compares each with each.
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    uniqueKeys: false,
    logLevel: 'silent',
  });
  for (const { pos, code, message } of [...document.errors, ...document.warnings])
    problems.push(at(pos[0], sayYaml(code, message)));
  const root = document.contents;
  if (problems.length === 0) problems.push(...unwanted(root, at));
  if (problems.length > 0) return unreadable();
  return {
    value: document.toJS({ maxAliasCount: 0 }),
    problems,
    problem: (path, part, sentence) => at(offsetOf(root, path, part), sentence),
  };
}

function sayYaml(code: string, message: string): string {
  if (code === 'MULTIPLE_DOCS') return "Another document begins here. A policy is one document: remove the '---'";
  if (code === 'TAG_RESOLVE_FAILED') return 'Tags (!…) have no meaning here. Remove it, or put the text in quotes';
  return `This is not YAML: ${message}`;
}

/** Aliases, and keys that were there before in the same mapping. */
function unwanted(root: ParsedNode | null, at: (offset: number, sentence: string) => Problem): Problem[] {
  const found: Problem[] = [];
  const visit = (node: Node | null): void => {
    if (isAlias(node)) {
      found.push(at(startOf(node), `Aliases are not read here. Write out what *${node.source} stands for`));
    } else if (isMap(node)) {
      const seen = new Set<unknown>();
      for (const pair of node.items) {
        const key = keyOf(pair);
        if (seen.has(key)) found.push(at(startOf(pair.key), `'${key}' is here twice. Keep one`));
        seen.add(key);
        visit(nodeOf(pair.value));
      }
    } else if (isSeq(node)) {
      for (const item of node.items) visit(nodeOf(item));
    }
  };
  visit(root);
  return found;
}

const nodeOf = (value: unknown): Node | null =>
  isAlias(value) || isCollection(value) || isScalar(value) ? value : null;
const keyOf = (pair: Pair): unknown => (isScalar(pair.key) ? pair.key.value : pair.key);
const startOf = (node: unknown): number => nodeOf(node)?.range?.[0] ?? 0;

/** Where the value at the path begins, or its key; of what is not there, that of the nearest thing around it. */
function offsetOf(root: ParsedNode | null, path: Path, part: 'key' | 'value'): number {
  let node: Node | null = root;
  let offset = startOf(root);
  for (const [i, step] of path.entries()) {
    if (isMap(node)) {
      const pair = node.items.find((item) => keyOf(item) === String(step));
      if (pair === undefined || !isPair(pair)) return offset;
      offset = startOf(pair.key);
      node = nodeOf(pair.value);
      const last = i === path.length - 1;
      if (!(last && part === 'key') && node !== null) offset = startOf(node);
    } else if (isSeq(node)) {
      const item = nodeOf(node.items[Number(step)]);
      if (item === null) return offset;
      node = item;
      offset = startOf(item);
    } else return offset;
  }
  return offset;
}

/**
 * Whether a text can be nested deeper than that, by its brackets and its indentation: told before it is parsed, because the
 * parser calls itself for each level.
 */
function deeperThan(text: string, most: number): boolean {
  let flow = 0;
  for (const line of text.split('\n')) {
    const indent = /^[ \-?:]*/.exec(line)?.[0] ?? '';
    // `- - - x` nests at every dash, and blocks need one column a level at least.
    if (indent.replaceAll(' ', '').length > most || indent.length > 8 * most) return true;
    for (const char of line) {
      if (char === '[' || char === '{') flow++;
      else if (char === ']' || char === '}') flow = Math.max(0, flow - 1);
      if (flow > most) return true;
    }
  }
  return false;
}
