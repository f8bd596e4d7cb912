import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { type Bucket, layout, openBucket } from '@batchmill/bucket';
import { newId } from '@batchmill/contract';
import { createGuard } from '@batchmill/guard';
import type { DeliverJob } from '@batchmill/queue';
import OpenAI from 'openai';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { redeliver, sendTest } from './again.ts';
import { type DeliverDeps, deliverLane, GIVEN_UP } from './deliver.ts';
import { listDeliveries } from './delivery.ts';
import { emit } from './emit.ts';
import { readEndpoint } from './endpoint.ts';
import { createEndpoint, deleteEndpoint, rotateSecret, updateEndpoint } from './endpoints.ts';
import { derivedId } from './event.ts';
import { Places } from './places.ts';
import { createSender } from './send.ts';
import { sweepHooks } from './sweep.ts';

/** A real receiver: it verifies, remembers ids, and answers as a test says. */
interface Receiver {
  url: string;
  seen: { id: string; type: string; headers: IncomingMessage['headers']; body: string }[];
  answer: (n: number, response: ServerResponse) => void;
  server: Server;
}

const TENANT = 'acme';
const guard = createGuard({ allow: ['127.0.0.1'], allowHttp: true });
let folder: string;
let bucket: Bucket;
let deps: DeliverDeps;
let jobs: DeliverJob[];
let receivers: Receiver[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-webhooks-'));
  bucket = await openBucket(pathToFileURL(folder).href);
  jobs = [];
  receivers = [];
  deps = {
    bucket,
    sender: createSender(guard, 10_000),
    places: new Places({ perEndpoint: 64, perTenant: 64 }),
    outputUrl: async () => null,
    schedule: [0, 20, 20],
    trigger: async (job) => {
      jobs.push(job);
    },
  };
});
afterEach(async () => {
  await deps.sender.close();
  for (const { server } of receivers) {
    server.closeAllConnections();
    server.close();
  }
  await bucket.close();
  await rm(folder, { recursive: true, force: true });
});

async function receiver(answer: Receiver['answer'] = (_, response) => void response.end()): Promise<Receiver> {
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
  receivers.push(one);
  return one;
}
const endpoint = (url: string) => createEndpoint(bucket, guard, TENANT, { url, events: ['batch.completed'] });

/** The events of a batch, one after the other. */
async function happens(ids: string[], batch: string, count = 1, from = 0) {
  for (let n = from; n < from + count; n++)
    await emit(
      deps,
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
async function work(): Promise<void> {
  for (let rounds = 0; rounds < 50; rounds++) {
    const due = new Map(jobs.splice(0).map((job) => [JSON.stringify(job), job]));
    if (due.size === 0) return;
    await Promise.all(
      [...due.values()].map(async (job) => {
        const wait = await deliverLane(deps, job);
        if (wait !== null) {
          await sleep(wait);
          jobs.push(job);
        }
      }),
    );
  }
  throw new Error('it never ends');
}
const deliveries = async (id: string) => (await listDeliveries(bucket, TENANT, id, { limit: 100 })).data;
const batch = () => newId('batch_');

describe('a delivery', () => {
  test('is signed as openai.webhooks.unwrap and the reference library verify it', async () => {
    const got = await receiver();
    const { id, secret = '' } = await endpoint(got.url);
    await happens([id], batch());
    await work();
    const [event] = got.seen;
    expect(event?.headers).toMatchObject({ 'webhook-id': event?.id, 'content-type': 'application/json' });
    const headers = Object.fromEntries(Object.entries(event?.headers ?? {}).map(([k, v]) => [k, String(v)]));
    new Webhook(secret).verify(event?.body ?? '', headers);
    const client = new OpenAI({ apiKey: 'x' });
    expect(await client.webhooks.unwrap(event?.body ?? '', headers, secret)).toMatchObject({ type: 'batch.completed' });
    await expect(client.webhooks.unwrap(`${event?.body} `, headers, secret)).rejects.toThrow();
    expect(await deliveries(id)).toMatchObject([
      { status: 'delivered', response_code: 200, attempts: [{ error: null }] },
    ]);
  });

  test('is tried again with the same id until it is taken, then never again', async () => {
    const got = await receiver((n, response) => void response.writeHead(n < 3 ? 500 : 204).end());
    const { id } = await endpoint(got.url);
    await happens([id], batch());
    await work();
    await sweepHooks(deps);
    await work();
    expect(got.seen).toHaveLength(3);
    expect(new Set(got.seen.map((event) => event.headers['webhook-id'])).size).toBe(1);
    expect((await deliveries(id))[0]?.attempts.map((a) => a.response_code)).toEqual([500, 500, 204]);
  });

  test.each([
    [
      'a redirect',
      (response: ServerResponse) => void response.writeHead(301, { location: '/other' }).end(),
      /redirect/,
    ],
    ['silence', () => {}, /no answer/],
    ['a broken connection', (response: ServerResponse) => void response.destroy(), /connection failed/],
    [
      'an answer without end',
      (response: ServerResponse) => {
        response.writeHead(500);
        const more = setInterval(() => response.write('x'.repeat(20_000)), 1);
        response.on('close', () => clearInterval(more));
      },
      /500|no answer/,
    ],
  ])('that gets %s has failed, and is given up in the end', async (what, answer, error) => {
    if (/silence|without end/.test(what)) {
      await deps.sender.close();
      deps = { ...deps, sender: createSender(guard, 300) };
    }
    const got = await receiver((_n, response) => answer(response));
    const { id } = await endpoint(got.url);
    await happens([id], batch());
    await work();
    expect(got.seen).toHaveLength(3);
    const [delivery] = await deliveries(id);
    expect(delivery).toMatchObject({ status: 'failed', next_attempt_at: null });
    expect(delivery?.attempts[0]?.error).toMatch(error);
  });

  test('waits for the one before of its batch, and for no other', async () => {
    const order: string[] = [];
    const slow = await receiver(
      (n, response) => void setTimeout(() => response.writeHead(n === 1 ? 500 : 200).end(), 20),
    );
    const { id } = await endpoint(slow.url);
    const [one, two] = [batch(), batch()];
    await happens([id], one, 3);
    await happens([id], two, 1);
    await work();
    for (const { body } of slow.seen) order.push(JSON.parse(body).data.n);
    const of = (which: string) =>
      slow.seen
        .map(({ body }) => JSON.parse(body).data)
        .filter((d) => d.id === which)
        .map((d) => d.n);
    expect(of(two)).toEqual([0]);
    expect([...new Set(of(one))]).toEqual([0, 1, 2]);
    expect(of(one)).toEqual([...of(one)].sort());
  });

  test('to a slow receiver takes no more than its places, however much is due', async () => {
    await deps.sender.close();
    deps = { ...deps, sender: createSender(guard, 30_000), places: new Places({ perEndpoint: 4, perTenant: 32 }) };
    const hangs = await receiver(() => {});
    const { id } = await endpoint(hangs.url);
    for (let i = 0; i < 40; i++) await happens([id], batch());
    const all = jobs.splice(0).map((job) => deliverLane(deps, job));
    // All but four come straight back, to try again a little later: their places in the queue are free for others.
    const back = await Promise.all(all.slice(4));
    expect(back.every((wait) => wait !== null && wait > 0)).toBe(true);
    await expect.poll(() => hangs.seen.length, { timeout: 10_000 }).toBe(4);
    hangs.answer = (_, response) => void response.end();
    hangs.server.closeAllConnections();
    await Promise.all(all);
  });
});

test('a tenant whose endpoints all hang takes no more than its places', () => {
  const places = new Places({ perEndpoint: 4, perTenant: 32 });
  const taken = Array.from({ length: 100 }, (_, i) => places.enter('acme', `we_${i}`)).filter((one) => one === null);
  expect(taken).toHaveLength(32);
  expect(places.enter('other', 'we_x')).toBeNull();
  // The more wait, the less often each asks.
  const waits = Array.from({ length: 1_000 }, () => places.enter('acme', 'we_0') ?? 0);
  expect(Math.max(...waits.slice(0, 5))).toBeLessThan(3_000);
  expect(Math.min(...waits.slice(-100))).toBeGreaterThan(10_000);
  places.leave('acme', 'we_0');
  expect(places.enter('acme', 'we_0')).toBeNull();
});

test('a receiver without a certificate that is trusted gets nothing', async () => {
  const read = (name: string) =>
    readFileSync(new URL(`../../triggers/src/sources/fixtures/${name}`, import.meta.url), 'utf8');
  let requests = 0;
  const server = createTlsServer({ key: read('sns-key.pem'), cert: read('sns-cert.pem') }, (_, response) => {
    requests++;
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const url = `https://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`;
  const sent = await deps.sender.post(url, {}, '{}');
  expect(sent).toMatchObject({ status: null, error: expect.stringMatching(/connection failed \(.*CERT.*\)/) });
  expect(requests).toBe(0);
  server.close();
});

describe('an endpoint', () => {
  test('that says 410 is switched off at once, and the others are told', async () => {
    const gone = await receiver((_, response) => void response.writeHead(410).end());
    const other = await receiver();
    const [a, b] = [await endpoint(gone.url), await endpoint(other.url)];
    await happens([a.id], batch());
    await work();
    expect(await readEndpoint(bucket, TENANT, a.id)).toMatchObject({ disabled: { reason: 'gone' } });
    expect(gone.seen).toHaveLength(1);
    expect(other.seen).toMatchObject([{ type: 'webhook_endpoint.disabled' }]);
    await happens([a.id, b.id], batch());
    await work();
    expect(gone.seen).toHaveLength(1);
    // Switched on again, it gets what happens from then on.
    gone.answer = (_, response) => void response.end();
    await updateEndpoint(bucket, guard, TENANT, a.id, { disabled: false });
    await happens([a.id], batch());
    await work();
    expect(gone.seen).toHaveLength(2);
    await updateEndpoint(bucket, guard, TENANT, a.id, { disabled: true });
    const [last] = await deliveries(a.id);
    await expect(redeliver(deps, TENANT, a.id, last?.id ?? '')).rejects.toMatchObject({ status: 409 });
  });

  test('that keeps failing is switched off', async () => {
    deps = { ...deps, schedule: [0] };
    const down = await receiver((_, response) => void response.writeHead(503).end());
    const { id } = await endpoint(down.url);
    for (let i = 0; i < GIVEN_UP; i++) {
      expect((await readEndpoint(bucket, TENANT, id))?.disabled).toBeNull();
      await happens([id], batch());
      await work();
    }
    expect(await readEndpoint(bucket, TENANT, id)).toMatchObject({ disabled: { reason: 'failing' } });
    // Switched on again, it has as many chances as before.
    await sleep(1_100);
    await updateEndpoint(bucket, guard, TENANT, id, { disabled: false });
    await happens([id], batch());
    await work();
    expect((await readEndpoint(bucket, TENANT, id))?.disabled).toBeNull();
  });

  test('with a rotated secret is signed with both while they overlap', async () => {
    const got = await receiver();
    const { id, secret: old = '' } = await endpoint(got.url);
    const { secret = '' } = (await rotateSecret(bucket, TENANT, id, 60)) ?? {};
    expect(secret).not.toBe(old);
    await happens([id], batch());
    await work();
    const headers = Object.fromEntries(Object.entries(got.seen[0]?.headers ?? {}).map(([k, v]) => [k, String(v)]));
    for (const one of [old, secret]) new Webhook(one).verify(got.seen[0]?.body ?? '', headers);
  });

  test('can be tried, sent to again, and deleted with what waits for it', async () => {
    const got = await receiver((n, response) => void response.writeHead(n === 1 ? 418 : 200).end('hello'));
    const { id } = await endpoint(got.url);
    expect(await sendTest(bucket, deps.sender, TENANT, id)).toMatchObject({
      response_code: 418,
      response_body: 'hello',
    });
    await happens([id], batch());
    await work();
    const [first] = await deliveries(id);
    const again = await redeliver(deps, TENANT, id, first?.id ?? '');
    expect(again).toMatchObject({ event_id: first?.event_id, status: 'pending' });
    await work();
    expect(got.seen.map((event) => event.headers['webhook-id']).slice(1)).toEqual([first?.event_id, first?.event_id]);
    expect(await redeliver(deps, 'other', id, first?.id ?? '')).toBeNull();
    await happens([id], batch());
    expect(await deleteEndpoint(bucket, TENANT, id)).toBe(true);
    await work();
    expect(got.seen).toHaveLength(3);
  });

  test('cannot be in our own network, however it is written', async () => {
    for (const url of [
      'http://10.0.0.1/',
      'http://169.254.169.254/latest',
      'http://[::1]/',
      'http://2130706433:81/',
      'ftp://x/',
      'https://u:p@example.com/',
    ])
      await expect(
        createEndpoint(bucket, createGuard({}), TENANT, { url, events: ['batch.completed'] }),
      ).rejects.toMatchObject({ status: 400 });
  });
});

describe('a crash', () => {
  test('before the attempt is recorded makes it again with the same id', async () => {
    const got = await receiver();
    const { id } = await endpoint(got.url);
    await happens([id], batch());
    const broken = new Proxy(bucket, {
      get: (target, name) => {
        const value = Reflect.get(target, name);
        return name === 'create'
          ? () => Promise.reject(new Error('crash'))
          : typeof value === 'function'
            ? value.bind(target)
            : value;
      },
    });
    await expect(
      deliverLane({ ...deps, bucket: broken }, jobs[0] ?? { tenant: '', endpointId: '', lane: '' }),
    ).rejects.toThrow('crash');
    await work();
    expect(got.seen).toHaveLength(2);
    expect(new Set(got.seen.map((event) => event.headers['webhook-id'])).size).toBe(1);
  });

  test('after the receiver took it posts nothing again', async () => {
    const got = await receiver();
    const { id } = await endpoint(got.url);
    await happens([id], batch());
    let creates = 0;
    const broken = new Proxy(bucket, {
      get: (target, name) => {
        const value = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        // The attempt is recorded, then the process dies.
        return name === 'create' && ++creates > 1 ? () => Promise.reject(new Error('crash')) : value.bind(target);
      },
    });
    await expect(
      deliverLane({ ...deps, bucket: broken }, jobs[0] ?? { tenant: '', endpointId: '', lane: '' }),
    ).rejects.toThrow('crash');
    await work();
    expect(got.seen).toHaveLength(1);
    expect(await deliveries(id)).toMatchObject([{ status: 'delivered' }]);
  });

  test('of the whole queue loses nothing: the sweep finds what is due', async () => {
    const got = await receiver();
    const { id } = await endpoint(got.url);
    for (let i = 0; i < 5; i++) await happens([id], batch());
    jobs.length = 0;
    expect(await sweepHooks(deps)).toMatchObject({ lanes: 5 });
    await work();
    expect(got.seen).toHaveLength(5);
    expect(await sweepHooks(deps)).toMatchObject({ lanes: 0 });
    // The same event again, as a reconcile after a crash makes it, is not sent again.
    const ids: string[] = [];
    for await (const { key } of bucket.list('hooks/events/')) ids.push(key);
    expect(ids).toHaveLength(5);
  });

  test('after which the batch is told of again tells nothing new', async () => {
    const got = await receiver();
    const { id } = await endpoint(got.url);
    const one = batch();
    await happens([id], one);
    await work();
    await happens([id], one);
    await work();
    expect(got.seen).toHaveLength(1);
  });
});

test('what was kept long enough is deleted, and nothing before', async () => {
  const got = await receiver();
  const { id } = await endpoint(got.url);
  await happens([id], batch());
  await work();
  expect(await sweepHooks(deps)).toMatchObject({ deleted: 0 });
  expect((await sweepHooks(deps, Date.now() + 40 * 86_400_000)).deleted).toBeGreaterThan(0);
  expect(await deliveries(id)).toEqual([]);
  const left: string[] = [];
  for await (const { key } of bucket.list(layout.hook.keptPrefix)) left.push(key);
  expect(left).toEqual([]);
});
