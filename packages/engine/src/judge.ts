import { renderPrompt } from './chat/index.ts';
import type { Dialect } from './llama-server/model.ts';
import { EngineError, type Message } from './port.ts';

/** What all adapters need to ask a model about its own answer. */

/** A word that no template changes. */
const ANSWER = 'Zq7words';

/**
 * The text that goes after an answer: the end of the model's turn, a user's turn with the question, the beginning of the
 * model's next turn. As the model's own template writes a conversation that goes on.
 */
export function questionTurn(dialect: Dialect, question: string): string {
  const said = (role: 'user' | 'assistant', text: string) => ({ role, content: [{ type: 'text' as const, text }] });
  const messages = [said('user', 'x'), said('assistant', ANSWER), said('user', question)];
  const { prompt } = renderPrompt(dialect.template, { messages }, { ...dialect, mediaMarker: '<__media__>' });
  const at = prompt.indexOf(ANSWER);
  if (at < 0) throw new EngineError('unsupported', "The model's chat template cannot go on after an answer");
  return prompt.slice(at + ANSWER.length);
}

/** Of the two, which the model must choose between. @throws EngineError when it gives neither a chance. */
export function unsafeShare(safe: number, unsafe: number): number {
  const share = unsafe / (safe + unsafe);
  if (!(share >= 0 && share <= 1)) throw new EngineError('engine_failed', 'The model gives neither verdict a chance');
  return share;
}

/**
 * Judges a text without its conversation: in pieces that fit the context whatever their tokens are, each overlapping the one
 * before by a quarter.
 * @param ask for the share of a conversation, asked afresh.
 * @returns of the piece that looks worst.
 */
export async function judgeAlone(
  text: string,
  question: string,
  contextTokens: number,
  ask: (messages: Message[]) => Promise<number>,
): Promise<number> {
  // A UTF-16 unit is 3 bytes at most, and a byte one token: three quarters of the context, the rest is for the question.
  const size = Math.max(64, Math.floor(contextTokens / 4));
  const step = size - Math.floor(size / 4);
  let worst = 0;
  for (let at = 0; at === 0 || at + size - step < text.length; at += step) {
    const content = [{ type: 'text' as const, text: `${text.slice(at, at + size)}\n\n${question}` }];
    worst = Math.max(worst, await ask([{ role: 'user', content }]));
  }
  return worst;
}
