import type OpenAI from 'openai';
import { createClient, type ServerOptions } from '../client.ts';
import type { Progress } from '../progress.ts';
import { onStopSignal } from '../signals.ts';
import { StoppedError } from './stop.ts';

export interface Connection {
  client: OpenAI;
  /** URL of the service, or `null` if it is one of our own that ends with this process. */
  service: string | null;
  /** Aborts with a `StoppedError` on Ctrl-C and SIGTERM. */
  stop: AbortSignal;
}

export interface ConnectOptions extends ServerOptions {
  /** Where a service of our own keeps its data until the work is finished. */
  folder: string;
  /** An `s3://` prefix that a service of our own may read: the person has the credentials already. */
  s3Prefix: string | null;
  progress: Progress;
}

/** The URL of the service that these options name, or `null` for one of our own. */
export function serviceOf(options: ServerOptions): string | null {
  return options.url ?? (process.env.BATCHMILL_URL || null);
}

/**
 * Runs `work` with a service: the one that `--url` or `BATCHMILL_URL` names, or one of our own. Its data stay in
 * `folder/service` when something ends it early, so that it goes on there next time, and are deleted when `work` is done.
 */
export async function withService(
  options: ConnectOptions,
  work: (service: Connection) => Promise<void>,
): Promise<void> {
  const service = serviceOf(options);
  const controller = new AbortController();
  const onSignal = () => controller.abort(new StoppedError('Stopped.'));
  const stoppable = async (connection: Connection) => {
    try {
      await work(connection);
    } catch (error) {
      // Whatever it was in the middle of when it was stopped.
      controller.signal.throwIfAborted();
      throw error;
    }
  };
  if (service !== null) {
    const unlisten = onStopSignal(onSignal);
    try {
      // Hours of uploads and downloads: half a minute without an answer ends none of them.
      const client = createClient({ ...options, url: service }).withOptions({ maxRetries: 6 });
      await stoppable({ client, service, stop: controller.signal });
    } finally {
      unlisten();
    }
    return;
  }
  // All of the product comes with it.
  const { withOwnService } = await import('./own-service.ts');
  await withOwnService(options, onSignal, (client) => stoppable({ client, service: null, stop: controller.signal }));
}
