/** So many at a time for each key; the others wait in order. */
export class Places {
  readonly #most: number;
  readonly #busy = new Map<string, number>();
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(most: number) {
    this.#most = most;
  }

  async in<T>(key: string, work: () => Promise<T>): Promise<T> {
    const busy = this.#busy.get(key) ?? 0;
    if (busy >= this.#most)
      await new Promise<void>((go) => this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), go]));
    else this.#busy.set(key, busy + 1);
    try {
      return await work();
    } finally {
      const [next, ...rest] = this.#waiting.get(key) ?? [];
      if (next !== undefined) {
        // The place is handed on.
        if (rest.length === 0) this.#waiting.delete(key);
        else this.#waiting.set(key, rest);
        next();
      } else if ((this.#busy.get(key) ?? 1) === 1) this.#busy.delete(key);
      else this.#busy.set(key, (this.#busy.get(key) ?? 1) - 1);
    }
  }
}
