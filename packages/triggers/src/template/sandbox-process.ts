import { compile, compileExpression, type Filled } from './expression.ts';
import { ExpressionError } from './expression-error.ts';
import type { Answer, Question } from './sandbox.ts';

/** A process of the sandbox: fills templates in. See `sandbox.ts`. */

/** Templates kept compiled. */
const MOST_COMPILED = 200;
const compiled = new Map<string, { body: Filled; when: Filled | null }>();

function open(template: string): { body: Filled; when: Filled | null } {
  const there = compiled.get(template);
  if (there !== undefined) return there;
  const { body, when } = JSON.parse(template);
  const made = {
    body: compile(body, 'template.body'),
    when: when === null ? null : compileExpression(when, 'template.filter.when'),
  };
  const oldest = compiled.keys().next();
  if (compiled.size >= MOST_COMPILED && !oldest.done) compiled.delete(oldest.value);
  compiled.set(template, made);
  return made;
}

async function answer({ template, input, most }: Question): Promise<Answer> {
  try {
    const { body, when } = open(template);
    if (input === null) return { body: null };
    if (when !== null && (await when.of(input)) !== true) return { body: null };
    const text = JSON.stringify(await body.of(input));
    if (text.length > most) throw new ExpressionError(`template.body: gives more than ${most} characters`);
    return { body: text };
  } catch (error) {
    return { error: error instanceof ExpressionError ? error.message : `template.body: ${String(error)}` };
  }
}

process.on('message', async (questions: Question[]) => {
  const answers: Answer[] = [];
  for (const question of questions) answers.push(await answer(question));
  process.send?.(answers);
});
process.on('disconnect', () => process.exit(0));
// It is up.
process.send?.([]);
