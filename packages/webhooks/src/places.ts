/** So many at a time for each key. Nobody waits here: who finds no place comes again later. */
export class Places {
  readonly #most: number;
  readonly #busy = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Takes a place, to be given back by `leave`; `false` if there is none. */
  enter(key: string): boolean {
    const busy = this.#busy.get(key) ?? 0;
    if (busy >= this.#most) return false;
    this.#busy.set(key, busy + 1);
    return true;
  }

  leave(key: string): void {
    const busy = this.#busy.get(key) ?? 0;
    if (busy <= 1) this.#busy.delete(key);
    else this.#busy.set(key, busy - 1);
  }
}
