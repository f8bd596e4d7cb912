import type { LlamaContextSequence, Token } from 'node-llama-cpp';
import { EngineError } from '../port.ts';
import { type Loaded, prepare, tokenizePrompt } from './loaded.ts';
import type { Classify } from './messages.ts';
import type { Job } from './slots.ts';

/** The probability of each candidate's first token as the next one. */
export async function classify(loaded: Loaded, request: Classify, job: Job): Promise<Record<string, number>> {
  const tokens = tokenizePrompt(loaded, request.prompt);
  const firsts = distinctFirsts(loaded, request.candidates);
  return loaded.slots.run(tokens, job, async (sequence) => {
    const { rest } = await prepare(sequence, tokens, job);
    return nextToken(sequence, rest, firsts);
  });
}

/** First tokens of texts. @throws EngineError `bad_request` when two texts have the same. */
export function distinctFirsts({ model }: Loaded, texts: readonly string[]): Map<Token, string> {
  const firsts = new Map<Token, string>();
  for (const candidate of texts) {
    const [first] = model.tokenize(candidate, false, 'trimLeadingSpace');
    const other = first === undefined ? undefined : firsts.get(first);
    if (first === undefined || other !== undefined) {
      const what =
        other === undefined ? `"${candidate}" is empty` : `"${candidate}" and "${other}" begin with the same token`;
      throw new EngineError('bad_request', `The candidates cannot be told apart: ${what}`);
    }
    firsts.set(first, candidate);
  }
  return firsts;
}

/** @param rest what is left to evaluate before the next token; see `prepare`. */
export async function nextToken(
  sequence: LlamaContextSequence,
  rest: Token[],
  firsts: ReadonlyMap<Token, string>,
): Promise<Record<string, number>> {
  const steps = sequence.evaluateWithMetadata(rest, { probabilities: true }, { temperature: 0, yieldEogToken: true });
  for await (const { probabilities } of steps) {
    return Object.fromEntries([...firsts].map(([token, candidate]) => [candidate, probabilities.get(token) ?? 0]));
  }
  throw new EngineError('engine_failed', 'The model gave no token');
}
