import type { Category, GuardFormat, GuardQuestion, PromptPart, Severity } from '@batchmill/safety';

export interface Judgement {
  category: Category;
  /** Probability of the verdicts against, among all verdicts. */
  score: number;
  severity: Severity;
}

/** Probability of each candidate after the prompt. */
export type Ask = (prompt: readonly PromptPart[], candidates: string[]) => Promise<Record<string, number>>;

/** Sums of probabilities below this are no answer: the model is no guard, or is asked in another's way. */
const NO_ANSWER = 1e-4;
/** Share of a category's name among the names, from which on it counts beside the likeliest. */
const NOTABLE = 0.3;

/** The severity of a probability: below 0.3 none, from there on 2, from 0.5 on 4, from 0.8 on 6. */
export function bandOf(probability: number): Severity {
  if (probability >= 0.8) return 6;
  if (probability >= 0.5) return 4;
  return probability >= 0.3 ? 2 : 0;
}

/**
 * What the guard model says, question by question: one after the other in one slot, where the next finds the beginning of its prompt,
 * the answer in it, computed already.
 * @throws Error when the model gives no verdict.
 */
export async function judge(format: GuardFormat, questions: readonly GuardQuestion[], ask: Ask): Promise<Judgement[]> {
  const judgements: Judgement[] = [];
  for (const question of questions) {
    const { score, severity, against } = await verdict(question, ask);
    if (question.category !== null) judgements.push({ category: question.category, score, severity });
    else if (severity > 0) {
      for (const category of await named(format, [...question.prompt, against], ask)) {
        judgements.push({ category, score, severity });
      }
    }
  }
  return judgements;
}

async function verdict({ prompt, verdicts }: GuardQuestion, ask: Ask) {
  const { safe, unsafe, doubtful } = verdicts;
  const chances = await ask(prompt, doubtful === undefined ? [safe, unsafe] : [safe, unsafe, doubtful]);
  const [yes = 0, maybe = 0] = [chances[unsafe], doubtful === undefined ? 0 : chances[doubtful]];
  const sum = (chances[safe] ?? 0) + yes + maybe;
  if (!(sum >= NO_ANSWER))
    throw new Error('The guard model gives no verdict. Is it asked in the format it was trained on?');
  const score = Math.min(1, (yes + maybe) / sum);
  return {
    score,
    // What is in doubt is never worse than medium.
    severity: Math.max(bandOf(yes / sum), Math.min(4, bandOf(score))),
    against: doubtful !== undefined && maybe > yes ? doubtful : unsafe,
  };
}

/**
 * The categories that the model names after a verdict against: as it goes on, word by word, to where it would end its list, and
 * those it was nearly as likely to name. `unsafe` if it names none.
 */
async function named({ list }: GuardFormat, prompt: readonly PromptPart[], ask: Ask): Promise<Category[]> {
  if (list === null) return ['unsafe'];
  const { opening, between, words } = list;
  const found = new Set<Category>();
  const left = new Set(Object.keys(words));
  let said = opening;
  while (left.size > 0) {
    const chances = Object.entries(await ask([...prompt, said], [...left]));
    const sum = chances.reduce((total, [, chance]) => total + chance, 0);
    const [best] = chances.toSorted(([, a], [, b]) => b - a);
    if (best === undefined || sum < NO_ANSWER) break;
    for (const [word, chance] of chances) {
      const category = words[word];
      if (category !== undefined && (word === best[0] || chance / sum >= NOTABLE)) found.add(category);
    }
    left.delete(best[0]);
    said += best[0];
    if (left.size === 0 || ((await ask([...prompt, said], [between]))[between] ?? 0) < 0.5) break;
    said += between;
  }
  return found.size === 0 ? ['unsafe'] : [...found];
}
