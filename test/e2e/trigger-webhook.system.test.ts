import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { openBucket } from '@batchmill/bucket';
import OpenAI from 'openai';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { freePorts } from '../servers/ports.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { type S3Server, startS3 } from '../servers/s3.ts';
import { ServiceProcess } from '../servers/service.ts';
import { type Stack, startStack } from '../servers/stack.ts';
import { clientOf } from './suite.ts';

/**
 * The whole way: an object is put into a bucket of SeaweedFS, whose own notification reaches a trigger, which makes an OCR item;
 * the batch ends, and a receiver that is down at first gets the signed event once, with the result behind it. Then an event that
 * is posted, and receivers that hang, answer 500, 301 and 410, and recover, or not.
 */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TOKEN = 'token-of-the-s3-server';

/** Where the receiver of the guide listens. */
let examplePort: number;
let exampleUrl: string;
let folder: string;
let redis: RedisServer;
let s3: S3Server;
let stack: Stack;
/** Where the S3 server posts: it must know before there is a trigger, so it is passed on from here. */
let relay: { server: Server; url: string; to: string };
let receiver: { server: Server; url: string; got: { headers: Record<string, string>; body: string; status: number }[] };

type Handle = (body: string, headers: Record<string, string>) => Promise<number | null>;

/** A receiver; `null`: it never answers. */
async function listen(handle: Handle) {
  const server = createServer(async (request, response) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const headers = Object.fromEntries(Object.entries(request.headers).map(([k, v]) => [k, String(v)]));
    const status = await handle(Buffer.concat(chunks).toString(), headers);
    if (status !== null) response.writeHead(status, status === 301 ? { location: '/elsewhere' } : {}).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return { server, url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/` };
}

beforeAll(async () => {
  [examplePort = 0] = await freePorts(1);
  exampleUrl = `http://127.0.0.1:${examplePort}/`;
  folder = await mkdtemp(join(tmpdir(), 'batchmill-e2e-'));
  const passed = await listen(async (body, headers) => {
    if (relay.to === '') return 503;
    const { authorization = '' } = headers;
    return (
      await fetch(relay.to, { method: 'POST', body, headers: { 'content-type': 'application/json', authorization } })
    ).status;
  });
  relay = { ...passed, to: '' };
  const got: typeof receiver.got = [];
  const received = await listen(async (body, headers) => {
    // Down for the first attempt.
    const status = got.length === 0 ? 500 : 204;
    got.push({ headers, body, status });
    return status;
  });
  receiver = { ...received, got };
  redis = await startRedis();
  s3 = await startS3({ notify: { url: relay.url, token: TOKEN } });
  const url = new URL(s3.url);
  stack = await startStack({
    queueUrl: redis.url,
    bucketUrl: pathToFileURL(folder).href,
    env: {
      ...s3.env,
      AWS_ENDPOINT_URL_S3: url.searchParams.get('endpoint') ?? '',
      S3_INPUTS: JSON.stringify({ default: [`s3://${url.hostname}/inbox/`] }),
      FETCH_ALLOW: '127.0.0.1',
      FETCH_HTTP: '1',
    },
  });
});
afterAll(async () => {
  await stack?.stop();
  await s3?.stop();
  await redis?.stop();
  relay?.server.close();
  receiver?.server.close();
  await rm(folder, { recursive: true, force: true });
});

const Made = z.object({ id: z.string(), secret: z.string().optional(), events_path: z.string().optional() });
const make = async (path: string, body: unknown) => {
  const response = await fetch(`${stack.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(200);
  return Made.parse(await response.json());
};

test('an object that lands in a bucket is read, and the result is posted, once', async () => {
  const trigger = await make('/v1/triggers', {
    name: 'inbox',
    source: { type: 's3', secret: TOKEN },
    template: {
      task: 'ocr',
      filter: { prefix: 'inbox/', suffix: '.pdf', min_bytes: 100 },
      body: {
        model: 'default',
        text_layer: 'only',
        document: { type: 'document_url', document_url: 's3://{{ object.bucket }}/{{ object.key }}' },
      },
    },
    limits: { max_wait_seconds: 2 },
  });
  const { secret = '' } = await make('/v1/webhook_endpoints', { url: receiver.url, events: ['batch.completed'] });
  relay.to = `${stack.url}${trigger.events_path}`;

  Object.assign(process.env, s3.env);
  const bucket = await openBucket(s3.url);
  await bucket.put('inbox/invoice 1.pdf'.replace(' ', '-'), await readFile(join(ROOT, 'examples/ocr/invoice.pdf')));
  await bucket.put('inbox/note.txt', 'not a document');
  await bucket.put('elsewhere/invoice.pdf', await readFile(join(ROOT, 'examples/ocr/invoice.pdf')));
  await bucket.close();

  await expect.poll(() => receiver.got.map(({ status }) => status), { timeout: 60_000 }).toEqual([500, 204]);
  const [first, second] = receiver.got;
  expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
  const event = await new OpenAI({ apiKey: 'none' }).webhooks.unwrap(second?.body ?? '', second?.headers ?? {}, secret);
  expect(event.type).toBe('batch.completed');
  const client = clientOf(stack.url);
  const batch = await client.batches.retrieve(Object(event.data).id);
  expect(batch.metadata).toMatchObject({ trigger_id: trigger.id });
  expect(batch.request_counts).toEqual({ total: 1, completed: 1, failed: 0 });
  const output = await (await client.files.content(batch.output_file_id ?? '')).text();
  expect(JSON.parse(output).response.body.pages[0].markdown).toMatch(/invoice/i);
  // Nothing more comes: no other object became an item, and the event was taken.
  expect((await client.batches.list()).data).toHaveLength(1);
}, 120_000);

/** Answers as it is told, then 204; and what it got. */
async function troubled(first: number | null) {
  const got: { id: string; body: string; headers: Record<string, string>; answer: number | null }[] = [];
  const one = await listen(async (body, headers) => {
    const answer = got.length === 0 ? first : 204;
    got.push({ id: headers['webhook-id'] ?? '', body, headers, answer });
    return answer;
  });
  return { ...one, got };
}

test('receivers that hang, fail, redirect or are gone get each event once, and none waits for another', async () => {
  const receivers = {
    fine: await troubled(204),
    fails: await troubled(500),
    redirects: await troubled(301),
    hangs: await troubled(null),
    gone: await troubled(410),
  };
  const all = Object.values(receivers);
  const secrets = new Map<string, string>();
  const ids = new Map<string, string>();
  for (const { url } of all) {
    const made = await make('/v1/webhook_endpoints', { url, events: ['batch.completed'] });
    secrets.set(url, made.secret ?? '');
    ids.set(url, made.id);
  }
  // The receiver of the guide, run as its reader runs it.
  const example = await make('/v1/webhook_endpoints', { url: exampleUrl, events: ['batch.completed'] });
  const guide = await ServiceProcess.start({
    entry: 'examples/webhooks/receiver.ts',
    env: { WEBHOOK_SECRET: example.secret ?? '', SEEN: join(folder, 'seen.txt'), PORT: String(examplePort) },
    ready: (printed) => printed.includes('listening'),
  });
  const trigger = await make('/v1/triggers', {
    name: 'questions',
    source: { type: 'json' },
    template: {
      task: 'chat',
      body: { model: 'default', max_tokens: 8, messages: [{ role: 'user', content: '{{ data.question }}' }] },
    },
    limits: { max_wait_seconds: 1 },
  });
  const posted = await fetch(`${stack.url}${trigger.events_path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${trigger.secret}`, 'content-type': 'application/json' },
    body: JSON.stringify({ question: 'Say hello.' }),
  });
  expect(posted.status).toBe(202);
  const { items } = z
    .object({ items: z.array(z.object({ batch_id: z.string(), item_id: z.string() })) })
    .parse(await posted.json());
  const answers = (of: { got: { body: string; answer: number | null }[] }) =>
    of.got.filter(({ body }) => JSON.parse(body).type === 'batch.completed').map(({ answer }) => answer);

  // The one that hangs holds nobody up: all others have had their event before it gives up the first attempt.
  await expect.poll(() => answers(receivers.fails), { timeout: 120_000 }).toEqual([500, 204]);
  await expect.poll(() => answers(receivers.redirects), { timeout: 30_000 }).toEqual([301, 204]);
  await expect.poll(() => answers(receivers.hangs), { timeout: 60_000 }).toEqual([null, 204]);
  expect(answers(receivers.fine)).toEqual([204]);
  expect(answers(receivers.gone)).toEqual([410]);

  for (const { url, got } of all) {
    const told = got.filter(({ body }) => JSON.parse(body).type === 'batch.completed');
    expect(new Set(told.map(({ id }) => id)).size).toBe(1);
    for (const { body, headers } of told) {
      const event = await new OpenAI({ apiKey: 'none' }).webhooks.unwrap(body, headers, secrets.get(url) ?? '');
      expect(Object(event.data).id).toBe(items[0]?.batch_id);
      new Webhook(secrets.get(url) ?? '').verify(body, headers);
    }
  }
  // The others are told that one was switched off.
  const off = receivers.fine.got.map(({ body }) => JSON.parse(body)).filter(({ type }) => type.endsWith('.disabled'));
  expect(off).toMatchObject([{ data: { id: ids.get(receivers.gone.url), reason: 'gone' } }]);
  const { data } = Object(
    await (await fetch(`${stack.url}/v1/webhook_endpoints/${ids.get(receivers.hangs.url)}/deliveries`)).json(),
  );
  const delivery = data.find(({ event_type: type }: { event_type: string }) => type === 'batch.completed');
  expect(delivery).toMatchObject({ status: 'delivered', response_code: 204 });
  expect(delivery.attempts[0]).toMatchObject({ response_code: null, error: 'no answer in 15 s' });

  // The signed URL in the event gave the guide's receiver the results without a key.
  await expect.poll(() => guide.printed, { timeout: 30_000 }).toContain(`${items[0]?.item_id} {`);
  expect(guide.printed.split('batch.completed')).toHaveLength(2);
  await guide.end();
  for (const { server } of all) {
    server.closeAllConnections();
    server.close();
  }
}, 240_000);
