import {
  type LlamaContextSequence,
  type LlamaGrammar,
  LlamaGrammarEvaluationState,
  type SequenceEvaluateOptions,
  type Token,
} from 'node-llama-cpp';
import { grammarFor } from './grammar.ts';
import { judge } from './judge.ts';
import { type Loaded, prepare, tokenizePrompt } from './loaded.ts';
import type { Generate, Generated, Judged } from './messages.ts';
import { samplingOptions, tokenLogprob } from './sampling.ts';
import { aborted, type Job } from './slots.ts';
import { AnswerText } from './text.ts';

export async function generate(loaded: Loaded, request: Generate, job: Job): Promise<Generated> {
  const tokens = tokenizePrompt(loaded, request.prompt);
  const grammar = await grammarFor(loaded.llama, request.format);
  return loaded.slots.run(tokens, job, async (sequence) => {
    const answer = new Answer(loaded, request, tokens);
    // With the format the model could not call a tool, without it it need not keep to the format: its first token decides.
    if (grammar !== null && request.toolCall !== null) {
      const { rest } = await prepare(sequence, tokens, job);
      for await (const token of sequence.evaluate(rest, { ...answer.sampling, yieldEogToken: true })) {
        if (token === request.toolCall) return answer.run(sequence, null, job);
        break;
      }
    }
    return answer.run(sequence, grammar, job);
  });
}

/** One answer as it is made. */
class Answer {
  readonly sampling: SequenceEvaluateOptions;
  readonly #loaded: Loaded;
  readonly #request: Generate;
  readonly #prompt: Token[];
  readonly #made: Token[] = [];
  readonly #text: AnswerText;
  readonly #logprobs: NonNullable<Generated['logprobs']> = [];
  /** Where in the text each token begins. */
  readonly #starts: number[] = [];

  constructor(loaded: Loaded, request: Generate, prompt: Token[]) {
    this.#loaded = loaded;
    this.#request = request;
    this.#prompt = prompt;
    this.#text = new AnswerText(loaded, request.stop);
    this.sampling = samplingOptions(loaded, request.sampling, prompt, this.#made);
  }

  async run(sequence: LlamaContextSequence, grammar: LlamaGrammar | null, job: Job): Promise<Generated> {
    const { model, contextTokens } = this.#loaded;
    const { thought, logprobs, maxTokens } = this.#request;
    const { cached, rest } = await prepare(sequence, this.#prompt, job);
    const limit = Math.min(maxTokens ?? Infinity, contextTokens - this.#prompt.length);
    const state = grammar === null ? null : new LlamaGrammarEvaluationState({ model, grammar });

    let thinking = thought !== null;
    if (!thinking) this.#text.heedStops();
    const [closing] = thought === null ? [] : model.tokenize(thought.closing, true);
    const gap = thought === null || thought.gap === '' ? [] : model.tokenize(thought.gap);

    const options: SequenceEvaluateOptions = {
      ...this.sampling,
      yieldEogToken: true,
      ...(state === null ? {} : { grammarEvaluationState: () => (thinking ? undefined : state) }),
    };
    const steps: AsyncGenerator<Step, void, undefined | Token | Token[]> =
      logprobs === null
        ? sequence.evaluateWithMetadata(rest, {}, options)
        : sequence.evaluateWithMetadata(rest, { probabilities: true }, options);
    let finish: Generated['finish'] = 'stop';
    try {
      let next: Token[] | undefined;
      for (;;) {
        const { value: step } = await steps.next(next);
        next = undefined;
        if (job.aborted) throw aborted();
        if (!step) break;
        let { token } = step;
        const ends = model.isEogToken(token);
        if (thinking && closing !== undefined && (ends || token === closing)) {
          // A model that would end its turn in thought is made to answer all the same.
          token = closing;
          next = [closing, ...gap];
        } else if (ends) {
          break;
        }
        this.#add(token, step.probabilities);
        if (next !== undefined) {
          thinking = false;
          this.#text.heedStops();
        }
        if (this.#text.stopped) break;
        if (this.#made.length >= limit) {
          finish = 'length';
          break;
        }
      }
    } finally {
      await steps.return();
    }
    const { judge: asked } = this.#request;
    const said = [...this.#prompt, ...this.#made];
    const judged = asked === null ? null : await judge(this.#loaded, sequence, said, asked, job);
    return this.#generated(finish, cached, judged);
  }

  #add(token: Token, probabilities: Map<Token, number> | undefined): void {
    const { logprobs } = this.#request;
    this.#made.push(token);
    this.#starts.push(this.#text.length);
    if (logprobs !== null) {
      this.#logprobs.push(tokenLogprob(this.#loaded, token, probabilities ?? new Map(), logprobs));
    }
    this.#text.add(token);
  }

  #generated(finish: Generated['finish'], cachedTokens: number, judged: Judged): Generated {
    const text = this.#text.end();
    return {
      type: 'generated',
      id: this.#request.id,
      text,
      tokens: this.#made,
      finish: this.#text.stopped ? 'stop' : finish,
      promptTokens: this.#prompt.length,
      cachedTokens,
      // What a stop text cut off has no probabilities either.
      logprobs:
        this.#request.logprobs === null
          ? null
          : this.#logprobs.filter((_, index) => !this.#text.stopped || (this.#starts[index] ?? 0) < text.length),
      judged,
    };
  }
}

interface Step {
  token: Token;
  probabilities?: Map<Token, number>;
}
