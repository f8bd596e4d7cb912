import { duration, type Speed } from '../progress.ts';

export interface Units {
  unit: 'pages' | 'audio_seconds';
  done: number;
  /** Of the whole batch, as far as the service can tell. */
  total?: number | null | undefined;
}

/** The speed shown is that of the last minute. */
const WINDOW_MS = 60_000;
/** Of fewer, one long recording among short ones would make nonsense of the time left. */
const ENOUGH_ITEMS = 5;

/** Makes of what a batch says about itself from time to time how fast it goes and how long it will take. */
export class Meter {
  readonly #now: () => number;
  /** From the first progress on: what was done before, and when that began, nobody here knows. */
  readonly #seen: { at: number; units: number }[] = [];
  #before: number | null = null;
  #first: { at: number; items: number } | null = null;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Takes in how far the batch is. The time left is reckoned from pages or minutes, else from whole items. */
  read(doneItems: number, totalItems: number, units: Units | null): Speed {
    const at = this.#now();
    if (units === null) return { text: '', secondsLeft: this.#leftByItems(at, doneItems, totalItems) };
    this.#before ??= units.done;
    if (this.#seen.length > 0 || units.done !== this.#before) this.#seen.push({ at, units: units.done });
    while (this.#seen.length > 2 && at - (this.#seen[1]?.at ?? at) >= WINDOW_MS) this.#seen.shift();
    const oldest = this.#seen[0] ?? { at, units: units.done };
    const perSecond = at > oldest.at ? ((units.done - oldest.units) * 1000) / (at - oldest.at) : 0;
    const text = unitsText(units, perSecond);
    const { done, total } = units;
    if (total == null) return { text, secondsLeft: this.#leftByItems(at, doneItems, totalItems) };
    return {
      text,
      secondsLeft: perSecond > 0 ? Math.max(0, total - done) / perSecond : null,
      // Of recordings, the silence at their ends is never done.
      share: doneItems === totalItems ? 1 : Math.min(1, done / Math.max(1, total)),
    };
  }

  #leftByItems(at: number, doneItems: number, totalItems: number): number | null {
    this.#first ??= { at, items: doneItems };
    const items = doneItems - this.#first.items;
    return items < ENOUGH_ITEMS ? null : ((totalItems - doneItems) * (at - this.#first.at)) / 1000 / items;
  }
}

/** `412 pages of 900, 8.3 pages/s` or `1 h 2 min of sound of 3 h 0 min, 2.4 min/s`. */
export function unitsText({ unit, done, total }: Units, perSecond: number): string {
  const pages = unit === 'pages';
  const soFar = pages ? `${done} ${done === 1 ? 'page' : 'pages'}` : `${duration(done)} of sound`;
  const of = total == null ? '' : ` of ${pages ? total : duration(total)}`;
  if (!(perSecond > 0)) return soFar + of;
  return `${soFar}${of}, ${pages ? `${speed(perSecond)} pages/s` : `${speed(perSecond / 60)} min/s`}`;
}

function speed(n: number): string {
  return n >= 100 ? n.toFixed(0) : n >= 1 ? n.toFixed(1) : n.toFixed(2);
}
