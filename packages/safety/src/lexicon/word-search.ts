import type { Match, Matcher } from './matcher.ts';
import { findAll, noneSeen } from './rows.ts';

/** Looks for the words of several matchers in one pass over each text, whichever of them asks first. */
export class WordSearch {
  readonly #matchers: Matcher[] = [];
  readonly #seen = noneSeen();
  /** By the object that holds the text; as long as that is there. */
  readonly #known = new WeakMap<object, { text: string; found: Match[][] }>();

  /** To be called for all matchers before the first look. */
  add(matcher: Matcher): void {
    this.#matchers.push(matcher);
    for (const [i, forms] of matcher.seen.entries()) if (forms !== 0) this.#seen[i] = (this.#seen[i] ?? 0) | forms;
  }

  find(matcher: Matcher, segment: { text: string }): readonly Match[] {
    const known = this.#known.get(segment);
    const found = known?.text === segment.text ? known.found : findAll(segment.text, this.#matchers, this.#seen);
    this.#known.set(segment, { text: segment.text, found });
    return found[this.#matchers.indexOf(matcher)] ?? matcher.find(segment.text);
  }
}
