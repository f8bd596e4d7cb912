import { controlTokenGuard, renderPrompt } from '../chat/index.ts';
import { judgeAlone, questionTurn, unsafeShare } from '../judge.ts';
import { EngineError, type Generation, type JudgeRequest } from '../port.ts';
import { CERTAIN, firstToken } from './classify.ts';
import type { Source } from './generate.ts';
import { type Completion, inSlot, type Prompt } from './wire.ts';

/** What the model was given last and what it made of that. */
export interface Said {
  /** Texts and token ids in a row, without its media. */
  prompt: (string | number)[];
  media: string[];
  completion: Completion;
  /** The slot that holds it. */
  slot: number | null;
}

/**
 * Asks the model about what it has just generated, where it generated it: the prompt is what the slot holds, token for
 * token, with the question after it, so only the question is computed. The caller sees to it that nobody else uses the slot
 * in between.
 *
 * With media a prompt can only be text. They are sent again, but not encoded again: the slot's cache knows them by their
 * hash. What was generated is tokenised anew, and from where that gives other tokens than the model chose, computed anew.
 * @throws EngineError
 */
export async function judge(
  source: Source,
  said: Said,
  request: JudgeRequest,
  signal: AbortSignal,
): Promise<Required<Pick<Generation, 'unsafe' | 'judging'>>> {
  const verdicts = await verdictTokens(source, request, signal);
  const ask = (prompt: Prompt, hasMedia: boolean) => verdict(source, verdicts, prompt, hasMedia, said.slot, signal);
  try {
    return await ask(continued(source, said, request.question), said.media.length > 0);
  } catch (error) {
    if (!(error instanceof EngineError && error.code === 'context_overflow')) throw error;
  }
  const judging = { promptTokens: 0, cachedTokens: 0 };
  const { dialect, contextTokens, mediaMarker } = source;
  const unsafe = await judgeAlone(said.completion.content, request.question, contextTokens, async (messages) => {
    const { prompt } = renderPrompt(dialect.template, { messages }, { ...dialect, mediaMarker });
    const answer = await ask(prompt, false);
    judging.promptTokens += answer.judging.promptTokens;
    judging.cachedTokens += answer.judging.cachedTokens;
    return answer.unsafe;
  });
  return { unsafe, judging };
}

type Verdicts = [safe: number, unsafe: number];

async function verdictTokens(source: Source, { safe, unsafe }: JudgeRequest, signal: AbortSignal): Promise<Verdicts> {
  const [a, b] = [await firstToken(source, safe, signal), await firstToken(source, unsafe, signal)];
  if (a === undefined || b === undefined || a === b) {
    throw new EngineError(
      'bad_request',
      `The verdicts "${safe}" and "${unsafe}" begin with the same token: use other words`,
    );
  }
  return [a, b];
}

function continued({ dialect, mediaMarker }: Source, said: Said, question: string): Prompt {
  const { prompt, media, completion } = said;
  const turn = questionTurn(dialect, question);
  if (media.length > 0) {
    // What a model spells out must not end its turn, or it could answer the question itself.
    const written = controlTokenGuard(dialect.structure, mediaMarker).breakUp(completion.content);
    return { prompt_string: [...prompt, written, turn].join(''), multimodal_data: media };
  }
  // The token that ended the model's turn is in the question's text.
  const tokens = completion.stop_type === 'eos' ? completion.tokens.slice(0, -1) : completion.tokens;
  const parts = [...prompt, ...tokens, turn].filter((part) => part !== '');
  // A list without a number in it would be taken for several prompts.
  return tokens.length === 0 ? parts.join('') : parts;
}

/** The model must say one of the two, and the probabilities are those of its choice between them. */
async function verdict(
  { client }: Source,
  [safe, unsafe]: Verdicts,
  prompt: Prompt,
  hasMedia: boolean,
  slot: number | null,
  signal: AbortSignal,
): Promise<Required<Pick<Generation, 'unsafe' | 'judging'>>> {
  const request = {
    prompt,
    temperature: 1,
    samplers: ['top_k'],
    top_k: 2,
    logit_bias: [
      [safe, CERTAIN],
      [unsafe, CERTAIN],
    ],
    seed: 0,
    n_probs: 2,
    ...inSlot(slot),
  };
  const answer = await client.choose(request, hasMedia, signal);
  const chances = answer.completion_probabilities.flatMap(({ top_probs }) => top_probs);
  const probability = (token: number) => chances.find(({ id }) => id === token)?.prob ?? 0;
  return {
    unsafe: unsafeShare(probability(safe), probability(unsafe)),
    judging: { promptTokens: answer.tokens_evaluated, cachedTokens: answer['timings/cache_n'] },
  };
}
