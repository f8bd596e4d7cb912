import type { Asked } from '@batchmill/safety';

/** The end of a conversation, `most` UTF-16 units of it in all: the last messages, of the first of those its end. */
export function recent(asked: readonly Asked[], most: number): Asked[] {
  const kept: Asked[] = [];
  let left = most;
  for (const message of asked.toReversed()) {
    if (left <= 0) break;
    const text = message.text.slice(-left);
    // Not from the middle of a surrogate pair.
    const whole = text.length < message.text.length && /^[\udc00-\udfff]/.test(text) ? text.slice(1) : text;
    kept.unshift({ role: message.role, text: whole });
    left -= text.length;
  }
  return kept;
}
