import { duration, type Speed } from '../progress.ts';

export interface Units {
  unit: 'pages' | 'audio_seconds';
  done: number;
}

/** The speed shown is that of the last minute. */
const WINDOW_MS = 60_000;
/** Of fewer, one long recording among short ones would make nonsense of the time left. */
const ENOUGH_ITEMS = 5;

/** Makes of what a batch says about itself from time to time how fast it goes and how long it will take. */
export class Meter {
  readonly #now: () => number;
  readonly #seen: { at: number; units: number }[] = [];
  #first: { at: number; items: number } | null = null;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /**
   * Takes in how far the batch is. How many pages or minutes the items that were not begun have is not known before, so the
   * time left is reckoned from whole items, once there are some to judge by.
   */
  read(doneItems: number, totalItems: number, units: Units | null): Speed {
    const at = this.#now();
    this.#first ??= { at, items: doneItems };
    const items = doneItems - this.#first.items;
    const seconds = (at - this.#first.at) / 1000;
    const secondsLeft = items >= ENOUGH_ITEMS ? ((totalItems - doneItems) * seconds) / items : null;
    if (units === null) return { text: '', secondsLeft };
    this.#seen.push({ at, units: units.done });
    while (this.#seen.length > 2 && at - (this.#seen[1]?.at ?? at) >= WINDOW_MS) this.#seen.shift();
    const oldest = this.#seen[0] ?? { at, units: units.done };
    const perSecond = at > oldest.at ? ((units.done - oldest.units) * 1000) / (at - oldest.at) : 0;
    return { text: unitsText(units, perSecond), secondsLeft };
  }
}

/** `412 pages, 8.3 pages/s` or `1 h 2 min of sound, 2.4 min/s`. */
export function unitsText({ unit, done }: Units, perSecond: number): string {
  const total = unit === 'pages' ? `${done} ${done === 1 ? 'page' : 'pages'}` : `${duration(done)} of sound`;
  if (!(perSecond > 0)) return total;
  return unit === 'pages' ? `${total}, ${speed(perSecond)} pages/s` : `${total}, ${speed(perSecond / 60)} min/s`;
}

function speed(n: number): string {
  return n >= 100 ? n.toFixed(0) : n >= 1 ? n.toFixed(1) : n.toFixed(2);
}
