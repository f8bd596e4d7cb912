import { type BatchFact, urgentFrom } from '@batchmill/batch';

/** Whose something is, and by when it is wanted. Times are Unix seconds. */
export interface Claim {
  tenant: string;
  batch: string;
  expiresAt: number;
  /** From then on its tenant counts twice. */
  urgentAt: number;
}

/** Of what belongs to nobody in particular: first come, first served. */
export const ANYBODY: Claim = { tenant: '', batch: '', expiresAt: 0, urgentAt: Number.POSITIVE_INFINITY };

/** The last quarter of a batch's window is urgent. */
export function claimOf(fact: Pick<BatchFact, 'id' | 'tenant' | 'created_at' | 'expires_at'>): Claim {
  return { tenant: fact.tenant, batch: fact.id, expiresAt: fact.expires_at, urgentAt: urgentFrom(fact) };
}

/** So many places in a row go to a tenant's batch with the earliest deadline, then one to another. */
const IN_A_ROW = 3;

interface Party {
  /** Places it has now. */
  held: number;
  /** When it was given its last one, or came; counted in places given. */
  served: number;
}

interface Batch<T> extends Party {
  claim: Claim;
  waiting: Set<T>;
}

interface Tenant<T> extends Party {
  batches: Map<string, Batch<T>>;
  /** Places given to the earliest deadline since another batch had one. */
  inARow: number;
}

/**
 * Who gets the next free place (`docs/scheduling.md`): the tenant with the fewest places, of equals the one that was served
 * longest ago. One with a batch in the last quarter of its window may have twice as many as others. Of four places that a
 * tenant is given three go to its batch with the earliest deadline, the fourth to that of its others that was served longest
 * ago. Within a batch it is first come, first served.
 *
 * So a tenant without a place, of `n` that wait, gets one of the next `n`, whatever the others send; and a batch, of `b` that
 * wait, one of the next `4 b` of its tenant.
 */
export class FairOrder<T> {
  readonly #tenants = new Map<string, Tenant<T>>();
  readonly #now: () => number;
  #served = 0;
  #size = 0;

  /** @param now Unix seconds. */
  constructor(now: () => number = () => Date.now() / 1000) {
    this.#now = now;
  }

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  add(claim: Claim, entry: T): void {
    this.#batch(claim).waiting.add(entry);
    this.#size++;
  }

  /** One that does not want any more. */
  remove(claim: Claim, entry: T): void {
    if (this.#tenants.get(claim.tenant)?.batches.get(claim.batch)?.waiting.delete(entry)) this.#size--;
    this.#forget(claim);
  }

  /** Takes out whose turn it is, who has a place from now on. `undefined`: nobody waits. */
  next(): T | undefined {
    const tenant = this.#nextTenant();
    const batch = tenant === undefined ? undefined : nextBatch(tenant);
    if (batch === undefined) return undefined;
    const [entry] = batch.waiting;
    if (entry === undefined) return undefined;
    batch.waiting.delete(entry);
    this.#size--;
    this.hold(batch.claim);
    return entry;
  }

  /** A place is taken. */
  hold(claim: Claim): void {
    const batch = this.#batch(claim);
    const tenant = this.#tenants.get(claim.tenant);
    this.#served++;
    for (const party of [tenant, batch]) {
      if (party === undefined) continue;
      party.held++;
      party.served = this.#served;
    }
  }

  /** A place is given back. */
  release(claim: Claim): void {
    const tenant = this.#tenants.get(claim.tenant);
    const batch = tenant?.batches.get(claim.batch);
    for (const party of [tenant, batch]) if (party !== undefined) party.held--;
    this.#forget(claim);
  }

  #batch(claim: Claim): Batch<T> {
    let tenant = this.#tenants.get(claim.tenant);
    if (tenant === undefined) {
      tenant = { held: 0, served: this.#served, batches: new Map(), inARow: 0 };
      this.#tenants.set(claim.tenant, tenant);
    }
    let batch = tenant.batches.get(claim.batch);
    if (batch === undefined) {
      batch = { held: 0, served: this.#served, claim, waiting: new Set() };
      tenant.batches.set(claim.batch, batch);
    }
    return batch;
  }

  /** Who neither waits nor has a place is not kept. */
  #forget({ tenant: name, batch: id }: Claim): void {
    const tenant = this.#tenants.get(name);
    const batch = tenant?.batches.get(id);
    if (batch !== undefined && batch.held === 0 && batch.waiting.size === 0) tenant?.batches.delete(id);
    if (tenant?.batches.size === 0) this.#tenants.delete(name);
  }

  #nextTenant(): Tenant<T> | undefined {
    const now = this.#now();
    let first: Tenant<T> | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const tenant of this.#tenants.values()) {
      const waiting = waitingOf(tenant);
      if (waiting.length === 0) continue;
      const share = tenant.held / (waiting.some(({ claim }) => now >= claim.urgentAt) ? 2 : 1);
      if (first !== undefined && (share > least || (share === least && tenant.served >= first.served))) continue;
      first = tenant;
      least = share;
    }
    return first;
  }
}

function waitingOf<T>(tenant: Tenant<T>): Batch<T>[] {
  return [...tenant.batches.values()].filter(({ waiting }) => waiting.size > 0);
}

function nextBatch<T>(tenant: Tenant<T>): Batch<T> | undefined {
  const waiting = waitingOf(tenant);
  const first = leastOf(waiting, ({ claim }) => claim.expiresAt);
  const other = leastOf(
    waiting.filter((batch) => batch !== first),
    ({ served }) => served,
  );
  if (other !== undefined && tenant.inARow >= IN_A_ROW) {
    tenant.inARow = 0;
    return other;
  }
  tenant.inARow++;
  return first;
}

/** The first of those with the least. */
function leastOf<E>(list: readonly E[], of: (element: E) => number): E | undefined {
  let first: E | undefined;
  for (const element of list) if (first === undefined || of(element) < of(first)) first = element;
  return first;
}
