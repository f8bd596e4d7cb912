import type { LlamaContextSequence, Token } from 'node-llama-cpp';
import { candidateProbabilities } from '../candidates.ts';
import { EngineError } from '../port.ts';
import { type Loaded, prepare, tokenizePrompt } from './loaded.ts';
import type { Classify } from './messages.ts';
import type { Job } from './slots.ts';

/** As `Engine.classify`, of a prompt rendered already. */
export async function classify(loaded: Loaded, request: Classify, job: Job): Promise<Record<string, number>> {
  const candidates = new Map(request.candidates.map((text) => [text, tokenizeAnswer(loaded, text)]));
  const longest = Math.max(1, ...[...candidates.values()].map(({ length }) => length));
  const tokens = tokenizePrompt(loaded, request.prompt, longest);
  return loaded.slots.run(tokens, job, (sequence) =>
    candidateProbabilities(candidates, async (beginning) => {
      const { rest } = await prepare(sequence, [...tokens, ...beginning], job);
      return nextProbabilities(sequence, rest);
    }),
  );
}

function tokenizeAnswer({ model }: Loaded, text: string): Token[] {
  return model.tokenize(text, false, 'trimLeadingSpace');
}

/** First tokens of texts. @throws EngineError `bad_request` when two texts have the same. */
export function distinctFirsts(loaded: Loaded, texts: readonly string[]): Map<Token, string> {
  const firsts = new Map<Token, string>();
  for (const candidate of texts) {
    const [first] = tokenizeAnswer(loaded, candidate);
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
  const probabilities = await nextProbabilities(sequence, rest);
  return Object.fromEntries([...firsts].map(([token, candidate]) => [candidate, probabilities.get(token) ?? 0]));
}

async function nextProbabilities(sequence: LlamaContextSequence, rest: Token[]): Promise<Map<Token, number>> {
  const steps = sequence.evaluateWithMetadata(rest, { probabilities: true }, { temperature: 0, yieldEogToken: true });
  for await (const { probabilities } of steps) return probabilities;
  throw new EngineError('engine_failed', 'The model gave no token');
}
