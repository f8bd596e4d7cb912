import { type ChatChoice, type ChatCompletion, newId, type TokenLogprob, type Usage } from '@batchmill/contract';
import type { Generation, GenerationLogprob } from '@batchmill/engine';
import { type JudgedSegment, mergeResults, type Segment } from '@batchmill/safety';
import type { Draft } from '../port.ts';

/** A choice and where its texts are among the segments. */
interface ChoiceDraft {
  generation: Generation;
  content: number | null;
  reasoning: number | null;
  calls: { id: string; name: string | number; arguments: number }[];
  /** What the tokens of the log-probabilities spell, where it is not the content: with calls in the model's own form, say. */
  tokens: number | null;
  /** Of calls that are not delivered there are no log-probabilities either. */
  everyCall: boolean;
}

export interface DraftOptions {
  model: string;
  /** Names of the tools of the request: a name the model made up is a text of its own to judge. */
  tools: ReadonlySet<string>;
  /** At most one call per choice. */
  oneCall: boolean;
}

export interface ChatDraft extends Draft {
  finish(judged: JudgedSegment[]): ChatCompletion;
}

/** The answer of all choices, every text of it to be judged before it is put together. */
export function draft(generations: readonly Generation[], options: DraftOptions): ChatDraft {
  const segments: Segment[] = [];
  const segment = (id: string, text: string) => segments.push({ id, text }) - 1;
  const choices = generations.map((generation, c): ChoiceDraft => {
    const at = `choices.${c}`;
    const calls = options.oneCall ? generation.toolCalls.slice(0, 1) : generation.toolCalls;
    const spelled = spelledBy(generation.logprobs);
    return {
      generation,
      // An empty answer is one too: it may have to fit a schema, and somebody wants to know that it was looked at.
      content: generation.text === '' && calls.length > 0 ? null : segment(`${at}.content`, generation.text),
      reasoning: generation.reasoning ? segment(`${at}.reasoning`, generation.reasoning) : null,
      calls: calls.map((call, t) => ({
        id: call.id,
        name: options.tools.has(call.name) ? call.name : segment(`${at}.tool_calls.${t}.name`, call.name),
        arguments: segment(`${at}.tool_calls.${t}.arguments`, call.arguments),
      })),
      tokens: spelled === null || spelled === generation.text ? null : segment(`${at}.tokens`, spelled),
      everyCall: calls.length === generation.toolCalls.length,
    };
  });
  const usage = usageOf(generations);
  return {
    segments,
    usage,
    finish(judged) {
      if (judged.length !== segments.length || judged.some((j, i) => j.id !== segments[i]?.id))
        throw new Error('the judgements are not those of this answer');
      return {
        id: newId('chatcmpl-'),
        object: 'chat.completion',
        created: Math.floor(Date.now() / 1000),
        model: options.model,
        choices: choices.map((choice, index) => finishChoice(choice, index, segments, judged)),
        usage: {
          prompt_tokens: usage.input_tokens,
          completion_tokens: usage.output_tokens,
          total_tokens: usage.total_tokens,
          prompt_tokens_details: usage.input_tokens_details,
          completion_tokens_details: usage.output_tokens_details,
        },
      };
    },
  };
}

/**
 * One blocked text takes the whole choice with it, in Azure OpenAI's shape: no content, `finish_reason: content_filter`.
 * Log-probabilities spell out the text token by token, so they go wherever anything was taken out.
 */
function finishChoice(
  choice: ChoiceDraft,
  index: number,
  segments: readonly Segment[],
  judged: readonly JudgedSegment[],
): ChatChoice {
  const { generation } = choice;
  const own = [
    choice.content,
    choice.reasoning,
    choice.tokens,
    ...choice.calls.flatMap((call) => (typeof call.name === 'number' ? [call.name, call.arguments] : [call.arguments])),
  ].filter((i) => i !== null);
  const results = mergeResults(...own.map((i) => judged[i]?.results ?? {}));
  const filterResults = Object.keys(results).length === 0 ? {} : { content_filter_results: results };
  if (own.some((i) => judged[i]?.blocked !== false)) {
    return {
      index,
      message: { role: 'assistant', content: null, refusal: null },
      finish_reason: 'content_filter',
      logprobs: null,
      ...filterResults,
    };
  }
  const text = (i: number) => judged[i]?.text ?? '';
  const untouched = own.every((i) => judged[i]?.text === segments[i]?.text);
  const toolCalls = choice.calls.map((call) => ({
    id: call.id,
    type: 'function' as const,
    function: { name: typeof call.name === 'number' ? text(call.name) : call.name, arguments: text(call.arguments) },
  }));
  const content = choice.content === null ? (toolCalls.length > 0 ? null : '') : text(choice.content);
  return {
    index,
    message: {
      role: 'assistant',
      content,
      refusal: null,
      ...(choice.reasoning === null ? {} : { reasoning_content: text(choice.reasoning) }),
      ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls }),
    },
    finish_reason: generation.finishReason,
    logprobs:
      generation.logprobs === null || !untouched || !choice.everyCall
        ? null
        : { content: generation.logprobs.map(tokenLogprob), refusal: null },
    ...filterResults,
  };
}

/** The text of the tokens together: one of them may be no more than a part of a character. */
function spelledBy(logprobs: readonly GenerationLogprob[] | null): string | null {
  return logprobs === null ? null : Buffer.concat(logprobs.map(({ bytes }) => Buffer.from(bytes))).toString('utf8');
}

function tokenLogprob({ token, logprob, bytes, top }: GenerationLogprob): TokenLogprob {
  return { token, logprob, bytes, top_logprobs: top };
}

/** As OpenAI counts: the prompt once, however many choices; what was generated, of all of them. */
function usageOf(generations: readonly Generation[]): Usage {
  const first = generations[0]?.usage;
  const sum = (of: (usage: Generation['usage']) => number) => generations.reduce((n, g) => n + of(g.usage), 0);
  const input = first?.promptTokens ?? 0;
  const output = sum((u) => u.completionTokens);
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: first?.cachedTokens ?? 0 },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: sum((u) => u.reasoningTokens) },
    total_tokens: input + output,
  };
}
