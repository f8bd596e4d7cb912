import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { type Bucket, openBucket } from '@batchmill/bucket';
import { newId } from '@batchmill/contract';
import { createGuard } from '@batchmill/guard';
import type { DeliverJob } from '@batchmill/queue';
import { afterEach, beforeEach } from 'vitest';
import { type DeliverDeps, deliverLane } from './deliver.ts';
import { listDeliveries } from './delivery.ts';
import { emit } from './emit.ts';
import { createEndpoint } from './endpoints.ts';
import { derivedId } from './event.ts';
import { Places } from './places.ts';
import { createSender } from './send.ts';

/** What the tests of webhooks work with: a bucket of their own for each test, and receivers that are real. */

export const TENANT = 'acme';
export const guard = createGuard({ allow: ['127.0.0.1'], allowHttp: true });
export const batch = () => newId('batch_');

/** A real receiver: it verifies, remembers ids, and answers as a test says. */
export interface Receiver {
  url: string;
  seen: { id: string; type: string; headers: IncomingMessage['headers']; body: string }[];
  answer: (n: number, response: ServerResponse) => void;
  server: Server;
}

/** Call it once in a test file: each of its tests begins with an empty bucket, and closes what was opened. */
export function hooksRig(): HooksRig {
  const rig = new HooksRig();
  beforeEach(() => rig.open());
  afterEach(() => rig.close());
  return rig;
}

class HooksRig {
  deps!: DeliverDeps;
  bucket!: Bucket;
  jobs: DeliverJob[] = [];
  #folder = '';
  #receivers: Receiver[] = [];

  async open(): Promise<void> {
    this.#folder = await mkdtemp(join(tmpdir(), 'batchmill-webhooks-'));
    this.bucket = await openBucket(pathToFileURL(this.#folder).href);
    this.jobs = [];
    this.#receivers = [];
    this.deps = {
      bucket: this.bucket,
      sender: createSender(guard, 10_000),
      places: new Places({ perEndpoint: 64, perTenant: 64 }),
      outputUrl: async () => null,
      schedule: [0, 20, 20],
      trigger: async (job) => {
        this.jobs.push(job);
      },
    };
  }

  async close(): Promise<void> {
    await this.deps.sender.close();
    for (const { server } of this.#receivers) {
      server.closeAllConnections();
      server.close();
    }
    await this.bucket.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async receiver(answer: Receiver['answer'] = (_, response) => void response.end()): Promise<Receiver> {
    const one: Receiver = { url: '', seen: [], answer, server: createServer() };
    one.server.on('request', async (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks).toString();
      const { id, type } = JSON.parse(body);
      one.seen.push({ id, type, headers: request.headers, body });
      one.answer(one.seen.length, response);
    });
    one.server.listen(0, '127.0.0.1');
    await once(one.server, 'listening');
    const address = one.server.address();
    one.url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/hook`;
    this.#receivers.push(one);
    return one;
  }

  endpoint(url: string) {
    return createEndpoint(this.bucket, guard, TENANT, { url, events: ['batch.completed'] });
  }

  /** The events of a batch, one after the other. */
  async happens(ids: string[], batch: string, count = 1, from = 0): Promise<void> {
    for (let n = from; n < from + count; n++)
      await emit(
        this.deps,
        TENANT,
        {
          id: derivedId('evt_', 1_700_000_000_000 + n, batch, n),
          type: 'batch.completed',
          created_at: 1_700_000_000 + n,
          batch_id: batch,
          data: { id: batch, n },
        },
        ids,
        3,
      );
  }

  /** Works through what is due, as the queue does, waiting where it is told to. */
  async work(): Promise<void> {
    for (let rounds = 0; rounds < 50; rounds++) {
      const due = new Map(this.jobs.splice(0).map((job) => [JSON.stringify(job), job]));
      if (due.size === 0) return;
      await Promise.all(
        [...due.values()].map(async (job) => {
          const wait = await deliverLane(this.deps, job);
          if (wait !== null) {
            await sleep(wait);
            this.jobs.push(job);
          }
        }),
      );
    }
    throw new Error('it never ends');
  }

  async deliveries(id: string) {
    return (await listDeliveries(this.bucket, TENANT, id, { limit: 100 })).data;
  }
}
