import type { Queues } from './port.ts';

/**
 * Opens the queues at `redis://`, `rediss://` or `postgres://`. BullMQ and the driver of the server are loaded here: many who import this
 * package want its words only.
 *
 * @throws Error that names the URL's host, never its password.
 */
export async function openQueues(url: string): Promise<Queues> {
  const scheme = url.split(':', 1)[0] ?? '';
  if (!SCHEMES.includes(scheme))
    throw new Error(`QUEUE_URL must begin with redis://, rediss:// or postgres://, not ${scheme}://`);
  const [{ openBackend }, { queuesOn }] = await Promise.all([import('./backend.ts'), import('./queues.ts')]);
  return queuesOn(await openBackend(url));
}

const SCHEMES = ['redis', 'rediss', 'postgres', 'postgresql'];
