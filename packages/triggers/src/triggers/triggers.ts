import { randomBytes } from 'node:crypto';
import { type Bucket, layout } from '@batchmill/bucket';
import {
  invalid,
  newId,
  RequestError,
  type TriggerCreate,
  type TriggerObject,
  type TriggerSecretRotate,
  TriggerSource,
  type TriggerTestResult,
  type TriggerUpdate,
} from '@batchmill/contract';
import { sampleEvents, sampleFiles } from '../sources/sources.ts';
import { compileTemplate } from '../template/template.ts';
import { readTrigger, readTriggers, revise, TriggerFact, viewTrigger } from './record.ts';

/** Most triggers of a tenant. Creations at the very same moment may pass it by one or two. */
export const MAX_TRIGGERS = 100;

/**
 * Makes a trigger. The answer is the one time its secret is shown: yours, or one that was made up.
 * @throws RequestError 400 `invalid_template`, `too_many_triggers`.
 */
export async function createTrigger(bucket: Bucket, tenant: string, input: TriggerCreate): Promise<TriggerObject> {
  await tried(tenant, input.source.type, input.template, input.sample_event);
  if ((await readTriggers(bucket, tenant)).length >= MAX_TRIGGERS)
    throw new RequestError(400, `There are ${MAX_TRIGGERS} triggers already. Delete one that is not needed.`, {
      code: 'too_many_triggers',
    });
  const { source } = input;
  const fact = TriggerFact.parse({
    id: newId('trg_'),
    tenant,
    name: input.name,
    source: { type: source.type, ...(source.type === 'sns' ? { topic_arn: source.topic_arn } : {}) },
    secrets: source.type === 'sns' ? [] : [{ secret: source.secret ?? newSecret(source.type), until: null }],
    template: input.template,
    limits: input.limits,
    completion_window: input.completion_window,
    content_policy: input.content_policy,
    disabled: false,
    deleted: false,
  });
  await bucket.create(layout.trigger.revision(tenant, fact.id, 0), JSON.stringify(fact));
  // Last: without it the trigger gets no events.
  await bucket.put(layout.trigger.owner(fact.id, tenant), '');
  return viewTrigger(fact, { withSecret: true });
}

export async function listTriggers(bucket: Bucket, tenant: string): Promise<TriggerObject[]> {
  return (await readTriggers(bucket, tenant)).map((fact) => viewTrigger(fact));
}

export async function getTrigger(bucket: Bucket, tenant: string, id: string): Promise<TriggerObject | null> {
  const fact = await readTrigger(bucket, tenant, id);
  return fact === null ? null : viewTrigger(fact);
}

/** Changes what is given, within seconds everywhere. `null` if there is none. @throws RequestError 400 `invalid_template` */
export async function updateTrigger(
  bucket: Bucket,
  tenant: string,
  id: string,
  input: TriggerUpdate,
): Promise<TriggerObject | null> {
  const before = await readTrigger(bucket, tenant, id);
  if (before === null) return null;
  await tried(tenant, before.source.type, input.template ?? before.template, input.sample_event);
  const { sample_event: _, limits, ...changes } = input;
  const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
  const fact = await revise(bucket, tenant, id, (now) =>
    TriggerFact.parse({ ...now, ...given, limits: { ...now.limits, ...limits } }),
  );
  return fact === null ? null : viewTrigger(fact);
}

/** Secrets at a time, at most: each costs a check of every request. */
const MOST_SECRETS = 4;

/**
 * Gives a trigger a new secret, yours or one that is made up, shown this once. The one before counts too for `overlap_seconds`,
 * so that the sender can be changed meanwhile. `null` if there is no such trigger.
 * @throws RequestError 400 if its source has no secret, or the one given is not of the form it needs.
 */
export async function rotateTriggerSecret(
  bucket: Bucket,
  tenant: string,
  id: string,
  input: TriggerSecretRotate,
): Promise<TriggerObject | null> {
  const before = await readTrigger(bucket, tenant, id);
  if (before === null) return null;
  const { type } = before.source;
  if (type === 'sns')
    throw new RequestError(400, 'SNS signs with keys of its own: this trigger has no secret.', {
      code: 'invalid_value',
    });
  const given = TriggerSource.safeParse({ type, secret: input.secret });
  if (!given.success) throw invalid(given.error);
  const secret = input.secret ?? newSecret(type);
  const fact = await revise(bucket, tenant, id, (now) => {
    const seconds = Math.floor(Date.now() / 1000);
    const until = seconds + input.overlap_seconds;
    const old = now.secrets
      .map((one) => ({ secret: one.secret, until: Math.min(one.until ?? until, until) }))
      .filter((one) => one.until > seconds && one.secret !== secret);
    return { ...now, secrets: [{ secret, until: null }, ...old].slice(0, MOST_SECRETS) };
  });
  return fact === null ? null : viewTrigger(fact, { withSecret: true });
}

/** Deletes a trigger: its events are refused within seconds. What was accepted becomes a batch all the same. */
export async function deleteTrigger(bucket: Bucket, tenant: string, id: string): Promise<boolean> {
  const gone = await revise(bucket, tenant, id, (now) => ({
    ...now,
    secrets: [],
    deleted: true,
  }));
  if (gone === null) return false;
  await bucket.delete(layout.trigger.owner(id, tenant));
  let last: string | null = null;
  // The last revision stays, so that a change on its way finds the place taken; those with the secret go.
  for await (const { key } of bucket.list(layout.trigger.revisions(tenant, id))) {
    if (last !== null) await bucket.delete(last);
    last = key;
  }
  return true;
}

/** What the trigger would make of an event, without making it. `null` if there is no such trigger. */
export async function testTrigger(
  bucket: Bucket,
  tenant: string,
  id: string,
  event: unknown,
): Promise<TriggerTestResult | null> {
  const fact = await readTrigger(bucket, tenant, id);
  if (fact === null) return null;
  const template = await compileTemplate(fact.tenant, fact.template);
  const events = await Promise.all(
    sampleEvents(fact.source.type, event).map(async (one) => {
      try {
        return { type: one.type, item: await template.itemOf(one, sampleFiles(fact.source.type)), error: null };
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        return { type: one.type, item: null, error: error.message };
      }
    }),
  );
  return { object: 'trigger.test', events };
}

async function tried(
  tenant: string,
  type: TriggerFact['source']['type'],
  template: TriggerFact['template'],
  sample: unknown,
): Promise<void> {
  if (sample === undefined) return void (await compileTemplate(tenant, template));
  for (const event of sampleEvents(type, sample)) await compileTemplate(tenant, template, event, sampleFiles(type));
}

/** 256 bits; in the form that Standard Webhooks asks for. */
function newSecret(type: string): string {
  const random = randomBytes(32);
  return type === 'standard_webhooks' ? `whsec_${random.toString('base64')}` : random.toString('base64url');
}
