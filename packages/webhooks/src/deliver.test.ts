import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import OpenAI from 'openai';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { deliverLane } from './deliver.ts';
import { Places } from './places.ts';
import { createSender } from './send.ts';
import { sweepHooks } from './sweep.ts';
import { batch, guard, hooksRig } from './test-rig.ts';

const rig = hooksRig();

describe('a delivery', () => {
  test('is signed as openai.webhooks.unwrap and the reference library verify it', async () => {
    const got = await rig.receiver();
    const { id, secret = '' } = await rig.endpoint(got.url);
    await rig.happens([id], batch());
    await rig.work();
    const [event] = got.seen;
    expect(event?.headers).toMatchObject({ 'webhook-id': event?.id, 'content-type': 'application/json' });
    const headers = Object.fromEntries(Object.entries(event?.headers ?? {}).map(([k, v]) => [k, String(v)]));
    new Webhook(secret).verify(event?.body ?? '', headers);
    const client = new OpenAI({ apiKey: 'x' });
    expect(await client.webhooks.unwrap(event?.body ?? '', headers, secret)).toMatchObject({ type: 'batch.completed' });
    await expect(client.webhooks.unwrap(`${event?.body} `, headers, secret)).rejects.toThrow();
    expect(await rig.deliveries(id)).toMatchObject([
      { status: 'delivered', response_code: 200, attempts: [{ error: null }] },
    ]);
  });

  test('is tried again with the same id until it is taken, then never again', async () => {
    const got = await rig.receiver((n, response) => void response.writeHead(n < 3 ? 500 : 204).end());
    const { id } = await rig.endpoint(got.url);
    await rig.happens([id], batch());
    await rig.work();
    await sweepHooks(rig.deps);
    await rig.work();
    expect(got.seen).toHaveLength(3);
    expect(new Set(got.seen.map((event) => event.headers['webhook-id'])).size).toBe(1);
    expect((await rig.deliveries(id))[0]?.attempts.map((a) => a.response_code)).toEqual([500, 500, 204]);
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
      await rig.deps.sender.close();
      rig.deps = { ...rig.deps, sender: createSender(guard, 300) };
    }
    const got = await rig.receiver((_n, response) => answer(response));
    const { id } = await rig.endpoint(got.url);
    await rig.happens([id], batch());
    await rig.work();
    expect(got.seen).toHaveLength(3);
    const [delivery] = await rig.deliveries(id);
    expect(delivery).toMatchObject({ status: 'failed', next_attempt_at: null });
    expect(delivery?.attempts[0]?.error).toMatch(error);
  });

  test('waits for the one before of its batch, and for no other', async () => {
    const order: string[] = [];
    const slow = await rig.receiver(
      (n, response) => void setTimeout(() => response.writeHead(n === 1 ? 500 : 200).end(), 20),
    );
    const { id } = await rig.endpoint(slow.url);
    const [one, two] = [batch(), batch()];
    await rig.happens([id], one, 3);
    await rig.happens([id], two, 1);
    await rig.work();
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
    await rig.deps.sender.close();
    rig.deps = {
      ...rig.deps,
      sender: createSender(guard, 30_000),
      places: new Places({ perEndpoint: 4, perTenant: 32 }),
    };
    const hangs = await rig.receiver(() => {});
    const { id } = await rig.endpoint(hangs.url);
    for (let i = 0; i < 40; i++) await rig.happens([id], batch());
    const all = rig.jobs.splice(0).map((job) => deliverLane(rig.deps, job));
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
  const sent = await rig.deps.sender.post(url, {}, '{}');
  expect(sent).toMatchObject({ status: null, error: expect.stringMatching(/connection failed \(.*CERT.*\)/) });
  expect(requests).toBe(0);
  server.close();
});
