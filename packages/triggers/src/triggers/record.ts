import { type Bucket, layout } from '@batchmill/bucket';
import { idTime, isId, TRIGGER_SOURCES, TriggerLimits, type TriggerObject, TriggerTemplate } from '@batchmill/contract';
import { z } from 'zod';

/**
 * One revision of a trigger. The last one counts; each is written once, on condition that nobody has written it, so that two
 * changes at once both take effect. Secrets are stored as they are: signatures cannot be checked without them.
 */
export const TriggerFact = z.strictObject({
  id: z.string(),
  tenant: z.string(),
  name: z.string(),
  source: z.strictObject({ type: z.enum(TRIGGER_SOURCES), topic_arn: z.string().optional() }),
  /** The newest first, each with the Unix seconds until which it counts. None: SNS. */
  secrets: z.array(z.strictObject({ secret: z.string(), until: z.number().nullable() })),
  template: TriggerTemplate,
  limits: TriggerLimits,
  completion_window: z.string(),
  content_policy: z.string().nullable(),
  disabled: z.boolean(),
  deleted: z.boolean(),
});
export type TriggerFact = z.infer<typeof TriggerFact>;

async function readLast(
  bucket: Bucket,
  tenant: string,
  id: string,
): Promise<{ number: number; fact: TriggerFact } | null> {
  let last: string | null = null;
  for await (const { key } of bucket.list(layout.trigger.revisions(tenant, id))) last = key;
  const bytes = last === null ? null : await bucket.get(last);
  if (last === null || bytes === null) return null;
  const fact = TriggerFact.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  return { number: Number(/(\d+)\.json$/.exec(last)?.[1]), fact };
}

/** A trigger that is not deleted, or `null`. Any string is a safe `id`. */
export async function readTrigger(bucket: Bucket, tenant: string, id: string): Promise<TriggerFact | null> {
  if (!isId('trg_', id)) return null;
  const last = await readLast(bucket, tenant, id);
  return last === null || last.fact.deleted ? null : last.fact;
}

/** A trigger of whichever tenant has it: events come without an API key, and prove by their signature who sent them. */
export async function findTrigger(bucket: Bucket, id: string): Promise<TriggerFact | null> {
  if (!isId('trg_', id)) return null;
  const prefix = layout.trigger.ownerPrefix(id);
  for await (const { key } of bucket.list(prefix)) return readTrigger(bucket, key.slice(prefix.length), id);
  return null;
}

/** Writes the next revision. `change` may run several times. `null` if there is no such trigger. */
export async function revise(
  bucket: Bucket,
  tenant: string,
  id: string,
  change: (fact: TriggerFact) => TriggerFact,
): Promise<TriggerFact | null> {
  if (!isId('trg_', id)) return null;
  for (;;) {
    const last = await readLast(bucket, tenant, id);
    if (last === null || last.fact.deleted) return null;
    const next = change(last.fact);
    if (await bucket.create(layout.trigger.revision(tenant, id, last.number + 1), JSON.stringify(next))) return next;
  }
}

/** The triggers of a tenant, oldest first. */
export async function readTriggers(bucket: Bucket, tenant: string): Promise<TriggerFact[]> {
  const prefix = layout.trigger.prefix(tenant);
  const ids = new Set<string>();
  for await (const { key } of bucket.list(prefix)) ids.add(key.slice(prefix.length).split('/')[0] ?? '');
  const found = await Promise.all([...ids].map((id) => readTrigger(bucket, tenant, id)));
  return found.filter((fact) => fact !== null);
}

/** The secrets that count now. */
export function secretsOf(fact: TriggerFact): string[] {
  const now = Date.now() / 1000;
  return fact.secrets.filter(({ until }) => until === null || until > now).map(({ secret }) => secret);
}

/** As clients see it: never with its secret, unless it is shown this once. */
export function viewTrigger(fact: TriggerFact, options: { withSecret?: boolean } = {}): TriggerObject {
  const { type, topic_arn: topicArn } = fact.source;
  const secret = fact.secrets[0]?.secret;
  return {
    id: fact.id,
    object: 'trigger',
    name: fact.name,
    source: { type, ...(topicArn === undefined ? {} : { topic_arn: topicArn }) },
    template: fact.template,
    limits: fact.limits,
    completion_window: fact.completion_window,
    content_policy: fact.content_policy,
    disabled: fact.disabled,
    created_at: Math.floor((idTime(fact.id) ?? 0) / 1000),
    events_path: `/v1/triggers/${fact.id}/events`,
    ...(options.withSecret === true && secret !== undefined ? { secret } : {}),
  };
}
