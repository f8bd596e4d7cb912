/** How many days what a tenant has is kept at most; `null`: until somebody deletes it. */
export interface Retention {
  /** A batch and its result files, from the batch's end. */
  batches: number | null;
  /** Result files, from when they are made. */
  results: number | null;
  /** Files that were uploaded. */
  files: number | null;
}

/** What is set for tenants by name, and for every one by `*`. What a tenant's own entry leaves out, `*` says. */
export type RetentionByTenant = Readonly<Record<string, { [K in keyof Retention]?: number | undefined }>>;

/** What holds for a tenant. */
export function retentionOf(set: RetentionByTenant, tenant: string): Retention {
  const own = Object.hasOwn(set, tenant) ? set[tenant] : undefined;
  const all = Object.hasOwn(set, '*') ? set['*'] : undefined;
  return {
    batches: own?.batches ?? all?.batches ?? null,
    results: own?.results ?? all?.results ?? null,
    files: own?.files ?? all?.files ?? null,
  };
}

/** Days in seconds. */
export function secondsOf(days: number | null): number | null {
  return days === null ? null : Math.round(days * 86_400);
}
