import { metrics, tracing } from '@batchmill/telemetry';
import type { Job, Processor, Telemetry } from 'bullmq';

/** With traces on, what joins a job's spans with those of whoever queued it; loaded only then. */
export async function jobTraces(): Promise<{ telemetry?: Telemetry }> {
  if (!tracing()) return {};
  const { BullMQOtel } = await import('bullmq-otel');
  return { telemetry: new BullMQOtel({ tracerName: 'batchmill-queue' }) };
}

/** Takes down how long a job waited: from when it was due to when a worker took it. */
export function noteWait(queue: string, job: Pick<Job, 'timestamp' | 'delay' | 'processedOn'>): void {
  const due = job.timestamp + job.delay;
  metrics.queueWait.observe({ queue }, Math.max(0, (job.processedOn ?? Date.now()) - due) / 1000);
}

/** The same processor, the wait of each job taken down. */
export function waited<D extends object>(
  queue: string,
  process: Processor<D, void, string>,
): Processor<D, void, string> {
  // All three by name: BullMQ gives the signal to who has a parameter for it.
  return (job, token, signal) => {
    noteWait(queue, job);
    return process(job, token, signal);
  };
}
