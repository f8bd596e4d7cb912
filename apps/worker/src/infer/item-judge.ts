import { createHash } from 'node:crypto';
import type { ModerationResult } from '@batchmill/contract';
import type { GenerateRequest, Generation } from '@batchmill/engine';
import {
  type Asked,
  createJudge,
  type Filter,
  type FilterContext,
  type Finding,
  type Judge,
  type JudgedSegment,
  moderate,
  type Segment,
  type SelfVerdict,
} from '@batchmill/safety';
import type { BatchSafety } from './judges.ts';

/** Of a conversation, filters are shown no more than this, from its end. */
const LONGEST_ASKED = 32_000;

/**
 * Judges what one item's task makes: the pieces before they are kept, the answer before it is delivered. What a costly filter
 * said of a text it does not say twice.
 */
export class ItemJudge {
  readonly safety: BatchSafety;
  readonly #ids: Pick<FilterContext, 'tenant' | 'batchId' | 'customId'>;
  readonly #judge: Judge;
  #asked: Asked[] | null = null;
  readonly #verdicts: SelfVerdict[] = [];
  readonly #verdictsOfCalls = new WeakMap<AbortSignal, SelfVerdict[]>();

  constructor(safety: BatchSafety, ids: Pick<FilterContext, 'tenant' | 'batchId' | 'customId'>) {
    this.safety = safety;
    this.#ids = ids;
    this.#judge = createJudge(
      safety.policy,
      safety.filters.map((filter) => (isCostly(filter) ? remembering(filter) : filter)),
    );
  }

  /** The request as the engine gets it: with the question to the model about its own answer, where the policy wants it. */
  asking(request: GenerateRequest): GenerateRequest {
    this.#asked ??= askedOf(request);
    return this.safety.selfJudge === null ? request : { ...request, judge: this.safety.selfJudge };
  }

  /** Takes down what the model said of its own generation. `signal`: of the piece it belongs to. */
  answered(generation: Generation, signal: AbortSignal): void {
    if (generation.unsafe === undefined) return;
    const { text, reasoning, toolCalls, unsafe } = generation;
    const all = [reasoning ?? '', text, ...toolCalls.map((call) => `${call.name} ${call.arguments}`)];
    const verdict = { text: all.filter((part) => part !== '').join('\n'), unsafe };
    this.#verdicts.push(verdict);
    this.#verdictsOfCalls.set(signal, [...this.verdictsOf(signal), verdict]);
  }

  /** Verdicts of the calls that were made with this signal. */
  verdictsOf(signal: AbortSignal): SelfVerdict[] {
    return this.#verdictsOfCalls.get(signal) ?? [];
  }

  /** Takes down verdicts that were kept with a piece. */
  recall(verdicts: readonly SelfVerdict[]): void {
    this.#verdicts.push(...verdicts);
  }

  /** @throws FilterError */
  judge(segments: readonly Segment[], signal: AbortSignal): Promise<JudgedSegment[]> {
    return this.#judge.judge(segments, {
      ...this.#ids,
      asked: this.#asked ?? [],
      selfVerdicts: this.#verdicts,
      signal,
    });
  }

  /** What the filters find in texts that the item is about, for `/v1/moderations`. @throws FilterError */
  async moderate(
    texts: readonly string[],
    signal: AbortSignal,
  ): Promise<{ model: string; results: ModerationResult[] }> {
    const { policy, filters } = this.safety;
    // The model cannot have judged what it did not write.
    const others = filters.filter(({ name }) => name !== 'self_judge');
    const results = await moderate(policy, others, texts, { ...this.#ids, signal });
    return { model: `policy:${policy.name}`, results };
  }

  /** Whether nothing would be taken out of these texts: only then they may be kept where others could read them. */
  async clean(texts: readonly string[], signal: AbortSignal): Promise<boolean> {
    const judged = await this.judge(
      [...new Set(texts)].filter((text) => text !== '').map((text, i) => ({ id: `piece.${i}`, text })),
      signal,
    );
    return judged.every(({ blocked, redacted }) => !blocked && !redacted);
  }
}

function askedOf({ messages }: GenerateRequest): Asked[] {
  const asked = messages.map(({ role, content }) => ({
    role,
    text: content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n'),
  }));
  let room = LONGEST_ASKED;
  const shown: Asked[] = [];
  for (const message of asked.reverse()) {
    if (room <= 0) break;
    shown.unshift({ ...message, text: message.text.slice(-room) });
    room -= message.text.length;
  }
  return shown.filter(({ text }) => text !== '');
}

/** What the model said of its own answer is there already: it costs nothing to read, and of the same text it may have said more. */
const isCostly = ({ exact, name }: Filter) => !exact && name !== 'self_judge';

/** The filter, asked once for each text of an item. */
function remembering(filter: Filter): Filter {
  const known = new Map<string, Promise<Finding[]>>();
  const keyOf = (text: string) => createHash('sha256').update(text).digest('base64');
  return {
    ...filter,
    name: filter.name,
    inspect: async (segments, context) => {
      const fresh = segments.filter(({ text }) => !known.has(keyOf(text)));
      if (fresh.length > 0) {
        const inspecting = filter.inspect(fresh, context);
        for (const [i, { text }] of fresh.entries()) {
          const key = keyOf(text);
          const one = inspecting.then((all) => {
            const findings = all[i];
            if (findings === undefined) throw new Error('no findings for a text');
            return findings;
          });
          known.set(key, one);
          // A look that failed, or was stopped, is none.
          one.catch(() => known.delete(key));
        }
      }
      return Promise.all(
        segments.map(({ text }) => known.get(keyOf(text)) ?? Promise.reject(new Error('not looked at'))),
      );
    },
  };
}
