/** Whether a worker has work, and for how long it has had none. */
export class Activity {
  readonly #now: () => number;
  #running = 0;
  #restingSince: number;

  /** @param now a clock that never goes back, in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#restingSince = now();
  }

  /** A piece of work begins; the function it returns ends it, once. */
  begin(): () => void {
    let over = false;
    this.#running++;
    return () => {
      if (over) return;
      over = true;
      if (--this.#running === 0) this.#restingSince = this.#now();
    };
  }

  /** Milliseconds since the last work ended, or since this was made; 0 while there is work. */
  idleMs(): number {
    return this.#running > 0 ? 0 : this.#now() - this.#restingSince;
  }
}
