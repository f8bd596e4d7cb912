import { type PlanLimits, reconcile, Schedule, sweep, tidy } from '@batchmill/batch';
import type { Bucket } from '@batchmill/bucket';
import { type RetentionByTenant, retentionOf } from '@batchmill/files';
import { createGuard } from '@batchmill/guard';
import type { DeliverJob, Queues } from '@batchmill/queue';
import { sweepSpeeds } from '@batchmill/scaling';
import type { Logger } from '@batchmill/telemetry';
import { sweepWindows } from '@batchmill/triggers';
import { createSender, deliverLane, outputUrls, Places, sweepHooks, tellEnded, tellRunning } from '@batchmill/webhooks';

export interface ControlOptions {
  bucket: Bucket;
  queues: Queues;
  limits: PlanLimits;
  sweepIntervalMs: number;
  /** How long what tenants have is kept. Default: until somebody deletes it. */
  retention?: RetentionByTenant;
  /** How often everything is looked through for what is too old or belongs to nothing. Default: an hour. */
  tidyIntervalMs?: number;
  lockMs: number;
  /** Which addresses webhooks may go to, beside the public ones. */
  fetch: { allow: readonly string[]; http: boolean };
  /** Where the API can be reached, for signed URLs in webhooks. Default: none are made. */
  publicUrl?: string | null;
  /** Pauses between attempts of a webhook, in milliseconds; for tests. */
  webhookSchedule?: readonly number[];
  log: Logger;
}

/** Webhooks on their way at a time, and of those to one endpoint and of one tenant: a slow receiver holds up none but its own. */
const DELIVERIES = 256;
const PLACES = { perEndpoint: 4, perTenant: 32 };

/** Listing everything takes its time where there is much. */
const TIDY_MS = 3_600_000;

/** Batches looked at side by side by one control worker. */
const CONCURRENCY = 4;

/**
 * The control role: reconciles batches as they are triggered, and sweeps. Any number of control workers may run: a batch is
 * looked at by one of them at a time. Needs no GPU and no model.
 */
export async function startControl(options: ControlOptions): Promise<{ close(): Promise<void> }> {
  const { bucket, queues, limits, log, lockMs } = options;
  const onError = (error: Error) => log.warn({ err: error }, 'queue');
  const sender = createSender(createGuard({ allow: options.fetch.allow, allowHttp: options.fetch.http }));
  const hooks = {
    bucket,
    trigger: (job: DeliverJob) => queues.triggerDeliver(job),
    sender,
    places: new Places(PLACES),
    outputUrl: outputUrls(bucket, options.publicUrl ?? null),
    ...(options.webhookSchedule === undefined ? {} : { schedule: options.webhookSchedule }),
  };
  const deliveries = queues.consumeDeliver((job) => deliverLane(hooks, job), {
    concurrency: DELIVERIES,
    lockMs,
    onError,
  });
  const schedule = new Schedule(bucket, queues);
  const reconciles = queues.consumeReconcile(
    async ({ tenant, batchId }) => {
      const start = performance.now();
      try {
        const step = await reconcile(
          {
            bucket,
            queues,
            schedule,
            limits,
            onRunning: (batch) => tellRunning(hooks, batch),
            onEnded: (batch) => {
              schedule.ended(batch.id);
              return tellEnded(hooks, batch);
            },
          },
          tenant,
          batchId,
        );
        log.debug({ batch: batchId, step, ms: Math.round(performance.now() - start) }, 'reconciled');
        if (step === 'ended' || step === 'failed') log.info({ batch: batchId, step }, 'batch ended');
      } catch (error) {
        log.error({ err: error, batch: batchId }, 'reconcile failed; the sweep will try again');
        throw error;
      }
    },
    { concurrency: CONCURRENCY, lockMs, onError },
  );
  const retention = (tenant: string) => retentionOf(options.retention ?? {}, tenant);
  const tidyMs = options.tidyIntervalMs ?? TIDY_MS;
  // Not by all control workers at the same moment.
  let tidyAt = performance.now() + (Math.random() * tidyMs) / 10;
  let tidying: Promise<void> | null = null;
  const stop = new AbortController();
  // Beside the sweeps: open batches do not wait for it.
  const tidyUp = async () => {
    try {
      const tidied = await tidy(bucket, { retention, signal: stop.signal });
      if (tidied.batches + tidied.orphans > 0) log.info(tidied, 'tidied');
    } catch (error) {
      log.warn({ err: error }, 'not everything was tidied; the next round will go on');
    } finally {
      tidyAt = performance.now() + tidyMs;
      tidying = null;
    }
  };
  const sweeps = queues.consumeSweep(
    async () => {
      const { open } = await sweep(bucket, queues);
      const trigger = (tenant: string, batchId: string) => queues.triggerReconcile({ tenant, batchId });
      const { closed } = await sweepWindows({ bucket, trigger, retention }, Date.now(), (err, id) =>
        log.error({ err, trigger: id }, 'a window of events could not be closed; the next sweep will try again'),
      );
      const { lanes } = await sweepHooks(hooks);
      await sweepSpeeds(bucket);
      log.debug({ open, closed, lanes }, 'swept');
      if (performance.now() >= tidyAt) tidying ??= tidyUp();
    },
    { lockMs, onError },
  );
  const ask = () =>
    queues
      .triggerSweep(options.sweepIntervalMs)
      .catch((error: unknown) => log.warn({ err: error }, 'no sweep this time'));
  const timer = setInterval(ask, options.sweepIntervalMs);
  // At once as well: after a restart, open batches go on without waiting for the first round.
  await sweep(bucket, queues);
  return {
    close: async () => {
      clearInterval(timer);
      stop.abort();
      await Promise.all([reconciles.close(), sweeps.close(), deliveries.close()]);
      await tidying;
      await sender.close();
    },
  };
}
