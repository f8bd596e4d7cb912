import { checkRule } from '../rules/check.ts';
import { KNOWN_CATEGORIES, SEXUAL_MINORS } from '../taxonomy.ts';
import { categoriesOf } from './looks-for.ts';
import { nearest } from './nearest.ts';
import { PolicyError } from './policy-error.ts';
import {
  filterShapes,
  guardShape,
  lexiconShape,
  moderationsShape,
  Policy,
  personalDataShape,
  policyShape,
  ruleShape,
  thresholdsShape,
} from './schema.ts';
import { type Path, type Problem, readSource, type Source } from './source.ts';

/**
 * Reads a policy file (YAML). `file` is only its name, for messages.
 * @throws PolicyError with every problem in it.
 */
export function parsePolicy(text: string, file: string): Policy {
  const source = readSource(text);
  const problems = [...source.problems];
  const parsed = source.value === undefined ? null : Policy.safeParse(source.value);
  if (parsed !== null && !parsed.success) {
    for (const issue of parsed.error.issues) problems.push(...problemsOf(issue, source));
  }
  if (parsed?.success) problems.push(...nonsense(parsed.data, source));
  if (parsed?.success && problems.length === 0) return parsed.data;
  const lines = problems
    .sort((a, b) => a.line - b.line || a.column - b.column)
    .map(({ line, column, sentence }) => `${file}:${line}:${column}: ${sentence}${sentence.endsWith('?') ? '' : '.'}`);
  throw new PolicyError(lines.join('\n') || `${file}:1:1: The file is empty. A policy begins with 'version: 1'.`);
}

type Issue = { code?: string; path: PropertyKey[]; message: string; keys?: string[]; errors?: Issue[][] };

function problemsOf(issue: Issue, source: Source): Problem[] {
  const path: Path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
  if (issue.code === 'unrecognized_keys') {
    return (issue.keys ?? []).map((key) => {
      const meant = nearest(key, wordsAt(path));
      return source.problem(
        [...path, key],
        'key',
        `'${key}' is not known here${meant === null ? '' : `. Did you mean '${meant}'?`}`,
      );
    });
  }
  const where = path.length === 0 ? 'The policy' : `'${path.join('.')}'`;
  const missing = issue.code === 'invalid_type' && /received undefined/.test(issue.message);
  const what = missing
    ? 'is missing'
    : /^(must|is|has|was)\b/.test(issue.message)
      ? issue.message
      : `is wrong: ${issue.message}`;
  return [source.problem(path, 'value', `${where} ${what}`)];
}

function wordsAt(path: Path): string[] {
  const [first, second] = path;
  if (first === undefined) return Object.keys(policyShape);
  if (first === 'categories') return Object.keys(thresholdsShape);
  if (second === undefined) return Object.keys(filterShapes);
  const shapes: Record<string, object> = {
    personal_data: personalDataShape,
    lexicon: lexiconShape,
    guard: guardShape,
    moderations: moderationsShape,
    rules: ruleShape,
  };
  return Object.keys(shapes[String(second)] ?? {});
}

/** What is well-formed but cannot be meant. */
function nonsense(policy: Policy, source: Source): Problem[] {
  const problems: Problem[] = [];
  const looked = categoriesOf(policy.filters);
  const given = Object(Object(source.value).categories);
  for (const category of Object.keys(given)) {
    const path = ['categories', category];
    if (category === SEXUAL_MINORS) {
      if (given[category] !== 'block')
        problems.push(
          source.problem(path, 'value', `'${SEXUAL_MINORS}' is always blocked. Remove this, or write 'block'`),
        );
    } else if (!looked.has(category)) {
      const known: readonly string[] = KNOWN_CATEGORIES;
      const meant = nearest(category, [...known, ...looked]);
      const sentence = known.includes(category)
        ? `Nothing in this policy looks for '${category}'. Add a filter that does, such as ${filtersFor(category)}, or remove this`
        : `'${category}' is not a category${meant === null ? '. See docs/safety.md' : `. Did you mean '${meant}'?`}`;
      problems.push(source.problem(path, 'key', sentence));
    }
  }
  for (const [i, rule] of (policy.filters.rules ?? []).entries()) {
    const wrong = checkRule(rule);
    if (wrong === null) continue;
    const at = indexOfRule(source.value, rule.name) ?? i;
    const part = 'pattern' in rule ? 'pattern' : 'schema';
    problems.push(source.problem(['filters', 'rules', at, part], 'value', `The rule '${rule.name}' ${wrong}`));
  }
  return problems;
}

/** Rules are put in order when they are read; in the file they stand elsewhere. */
function indexOfRule(value: unknown, name: string): number | null {
  const rules: unknown = Object(Object(value).filters).rules;
  const at = Array.isArray(rules) ? rules.findIndex((rule) => Object(rule).name === name) : -1;
  return at === -1 ? null : at;
}

function filtersFor(category: string): string {
  if (category === 'personal_data' || category === 'secrets') return category;
  if (category === 'profanity') return 'lexicon with lists';
  return category === 'unsafe' ? 'self_judge' : 'guard or moderations';
}
