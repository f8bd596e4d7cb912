import { EngineError } from './port.ts';

/** Below this a beginning is as good as impossible, and what goes on from it is not looked at. */
const NEGLIGIBLE = 1e-6;

/**
 * How likely an answer is to begin with each candidate, as far as its tokens are needed to tell it from the others: mostly
 * the first alone. Where one candidate is the beginning of another, it is what is left when the answer does not go on so.
 * @param candidates texts and their tokens.
 * @param next the probabilities of tokens after the prompt and these. Called once for each beginning that several share.
 * @throws EngineError `bad_request` when two cannot be told apart.
 */
export async function candidateProbabilities<Token extends number>(
  candidates: ReadonlyMap<string, readonly Token[]>,
  next: (beginning: readonly Token[]) => Promise<ReadonlyMap<Token, number>>,
): Promise<Record<string, number>> {
  requireDistinct(candidates);
  const found = new Map<string, number>();
  await descend([...candidates], [], 1);
  return Object.fromEntries([...candidates.keys()].map((text) => [text, found.get(text) ?? 0]));

  async function descend(
    those: [string, readonly Token[]][],
    beginning: readonly Token[],
    reached: number,
  ): Promise<void> {
    if (reached < NEGLIGIBLE) return;
    const probabilities = await next(beginning);
    let left = reached;
    for (const [token, some] of Map.groupBy(those, ([, tokens]) => tokens[beginning.length])) {
      if (token === undefined) continue;
      const probability = reached * (probabilities.get(token) ?? 0);
      left -= probability;
      const [only] = some;
      if (some.length === 1 && only !== undefined) found.set(only[0], probability);
      else await descend(some, [...beginning, token], probability);
    }
    for (const [text, tokens] of those) if (tokens.length === beginning.length) found.set(text, Math.max(0, left));
  }
}

function requireDistinct(candidates: ReadonlyMap<string, readonly number[]>): void {
  const texts = new Map<string, string>();
  for (const [text, tokens] of candidates) {
    const key = tokens.join();
    const other = texts.get(key);
    if (tokens.length > 0 && other === undefined) {
      texts.set(key, text);
      continue;
    }
    const what = tokens.length === 0 ? `"${text}" is empty` : `"${text}" and "${other}" are the same to the model`;
    throw new EngineError('bad_request', `The candidates cannot be told apart: ${what}`);
  }
}
