/** So many attempts to one endpoint, and of one tenant, at a time. */
export interface MostPlaces {
  perEndpoint: number;
  perTenant: number;
}

/** About when a lane comes again that found no place, in milliseconds: soon, or, of many that wait for one endpoint, later. */
const SOON_MS = 1_500;
const LATE_MS = 30_000;

/**
 * Who may post now, so that receivers that are slow, and tenants that have many of them, leave places to all others. Nobody
 * waits here: who finds no place comes again later.
 */
export class Places {
  readonly #most: MostPlaces;
  readonly #busy = new Map<string, number>();
  /** Endpoint → how many were turned away since when. */
  readonly #refused = new Map<string, { count: number; since: number }>();

  constructor(most: MostPlaces) {
    this.#most = most;
  }

  /** Takes a place, to be given back by `leave`: then `null`. Else in how many milliseconds to ask again. */
  enter(tenant: string, endpoint: string): number | null {
    const full =
      (this.#busy.get(endpoint) ?? 0) >= this.#most.perEndpoint ||
      (this.#busy.get(`tenant ${tenant}`) ?? 0) >= this.#most.perTenant;
    if (full) return this.#refuse(endpoint);
    this.#count(endpoint, 1);
    this.#count(`tenant ${tenant}`, 1);
    return null;
  }

  leave(tenant: string, endpoint: string): void {
    this.#count(endpoint, -1);
    this.#count(`tenant ${tenant}`, -1);
    if (!this.#busy.has(endpoint)) this.#refused.delete(endpoint);
  }

  #count(key: string, by: 1 | -1): void {
    const busy = (this.#busy.get(key) ?? 0) + by;
    if (busy > 0) this.#busy.set(key, busy);
    else this.#busy.delete(key);
  }

  /** A thousand lanes of an endpoint that hangs would keep the queue busy with asking, so they ask less often. */
  #refuse(endpoint: string): number {
    const now = performance.now();
    const last = this.#refused.get(endpoint);
    const refused = last === undefined || now - last.since > LATE_MS ? { count: 0, since: now } : last;
    refused.count++;
    this.#refused.set(endpoint, refused);
    const pause = Math.min(LATE_MS, SOON_MS * Math.max(1, refused.count / (4 * this.#most.perEndpoint)));
    return Math.round(pause * (0.5 + Math.random()));
  }
}
