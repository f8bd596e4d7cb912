import { createHmac, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePorts } from '../servers/ports.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { memoryOf, ServiceProcess } from '../servers/service.ts';

/** 10,000 requests that nobody should take, at a real API process: malformed, signed by another, changed, too old, played back. */
const REQUESTS = 10_000;
const SIDE_BY_SIDE = 16;
const SECRET = 'the-secret-of-all-these-triggers';
const STANDARD = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

let folder: string;
let redis: RedisServer;
let api: ServiceProcess;
let url: string;
let port: number;
const agent = new Agent({ connections: SIDE_BY_SIDE });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-fuzz-'));
  redis = await startRedis();
  [port = 0] = await freePorts(1);
  url = `http://127.0.0.1:${port}`;
  api = await ServiceProcess.start({
    entry: 'apps/api/src/main.ts',
    env: { QUEUE_URL: redis.url, BUCKET_URL: pathToFileURL(join(folder, 'bucket')).href, PORT: String(port) },
    ready: (printed) => printed.includes('the API is up'),
  });
});
afterAll(async () => {
  await agent.close();
  await api?.end();
  await redis?.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Sent {
  path: string;
  headers: Record<string, string>;
  body: string | Uint8Array;
}
async function send({ path, headers, body }: Sent): Promise<{ status: number; body: unknown }> {
  const answer = await request(`${url}${path}`, { method: 'POST', headers, body, dispatcher: agent });
  return { status: answer.statusCode, body: JSON.parse((await answer.body.text()) || 'null') };
}

const TYPES = ['s3', 'cloudevents', 'standard_webhooks', 'github', 'json', 'form', 'sns'] as const;
const TOPIC = 'arn:aws:sns:eu-central-1:123456789012:scans';

async function makeTriggers(): Promise<Record<string, string>> {
  const paths: Record<string, string> = {};
  for (const type of TYPES) {
    const secret = type === 'standard_webhooks' ? STANDARD : SECRET;
    const { body } = await send({
      path: '/v1/triggers',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        name: type,
        source: type === 'sns' ? { type, topic_arn: TOPIC } : { type, secret },
        template: {
          task: 'chat',
          body: { model: 'default', messages: [{ role: 'user', content: '{{ data.text }}' }] },
        },
        limits: { requests_per_second: 10_000, max_wait_seconds: 3_600 },
      }),
    });
    paths[type] = Object(body).events_path;
  }
  return paths;
}

/** What a stranger may send: any body with any of the headers that prove something. */
const value = fc.oneof(
  fc.string({ unit: 'grapheme-ascii', maxLength: 80 }),
  fc.constantFrom(
    'Bearer ',
    `Bearer ${SECRET}x`,
    `Bearer ${SECRET.slice(1)}`,
    `Basic ${SECRET}x`,
    'v1,',
    'v1,AAAA v1,BBBB',
  ),
  fc.constantFrom(`sha256=${'0'.repeat(64)}`, `sha256=${'f'.repeat(63)}`, 'sha256=', '0', '-1', '1e999', 'NaN'),
);
const header = fc.constantFrom(
  ...['authorization', 'x-api-key', 'x-hub-signature-256', 'x-signature-256', 'x-github-event', 'idempotency-key'],
  ...['webhook-id', 'webhook-timestamp', 'webhook-signature', 'svix-id', 'svix-timestamp', 'svix-signature'],
  ...['ce-id', 'ce-specversion', 'ce-type', 'ce-source'],
);
const contentType = fc.constantFrom(
  ...['application/json', 'application/cloudevents+json', 'application/cloudevents-batch+json', 'text/plain'],
  ...['multipart/form-data; boundary=x', 'multipart/form-data', 'application/x-www-form-urlencoded', 'application/xml'],
);
const body = fc.oneof(
  fc.string(),
  fc.json(),
  fc.uint8Array({ maxLength: 2_000 }),
  fc.constantFrom('['.repeat(50_000), '{"a":'.repeat(50_000), '"'.repeat(10_000), '', '\0', '{"Type":"Notification"}'),
  fc.constantFrom(
    '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n%PDF',
    '--x--',
    '--x\r\n\r\n',
  ),
  fc.constant(JSON.stringify({ text: 'x'.repeat(200_000) })),
);
const stranger = fc.record({
  type: fc.constantFrom(...TYPES),
  headers: fc.dictionary(header, value, { maxKeys: 5 }),
  contentType,
  body,
});

const hmac = (text: string, secret = SECRET) => `sha256=${createHmac('sha256', secret).update(text).digest('hex')}`;

/** What somebody may do with requests that were good once, or would be for another. */
function forgeries(n: number): { type: string; headers: Record<string, string>; body: string }[] {
  const text = JSON.stringify({ text: `forged ${n}` });
  const json = { 'content-type': 'application/json' };
  const now = Date.now();
  const standard = (at: number, secret = STANDARD, signed = text, id = `msg_${n}`) => ({
    ...json,
    'webhook-id': `msg_${n}`,
    'webhook-timestamp': String(Math.floor(at / 1000)),
    'webhook-signature': new Webhook(secret).sign(id, new Date(at), signed),
  });
  const other = `whsec_${randomBytes(32).toString('base64')}`;
  const sns = (more: Record<string, string>) =>
    JSON.stringify({
      Type: 'Notification',
      MessageId: `${n}`,
      TopicArn: TOPIC,
      Message: '{"Records":[]}',
      Timestamp: new Date(now).toISOString(),
      SignatureVersion: '1',
      Signature: randomBytes(128).toString('base64'),
      SigningCertURL: 'https://sns.eu-central-1.amazonaws.com.example.com/SimpleNotificationService-0.pem',
      ...more,
    });
  return [
    // Played back, and ahead of its time.
    { type: 'standard_webhooks', headers: standard(now - 301_000 - n), body: text },
    { type: 'standard_webhooks', headers: standard(now + 400_000), body: text },
    { type: 'standard_webhooks', headers: standard(now, other), body: text },
    { type: 'standard_webhooks', headers: standard(now), body: `${text} ` },
    { type: 'standard_webhooks', headers: standard(now, STANDARD, text, 'msg_other'), body: text },
    { type: 'github', headers: { ...json, 'x-hub-signature-256': hmac(text, 'another secret') }, body: text },
    { type: 'github', headers: { ...json, 'x-hub-signature-256': hmac(text) }, body: `${text}\n` },
    { type: 'github', headers: { ...json, 'x-hub-signature': hmac(text) }, body: text },
    { type: 'cloudevents', headers: { ...json, 'x-signature-256': hmac(text, 'another secret') }, body: text },
    {
      type: 'cloudevents',
      // A signature does not vouch for headers.
      headers: {
        ...json,
        'x-signature-256': hmac(text),
        ...ce({ specversion: '1.0', id: `${n}`, source: 's', type: 't' }),
      },
      body: text,
    },
    { type: 'json', headers: { ...json, authorization: `Bearer ${STANDARD}` }, body: text },
    { type: 's3', headers: { ...json, authorization: `Bearer ${SECRET}, Bearer ${SECRET}x` }, body: text },
    { type: 'sns', headers: json, body: sns({}) },
    { type: 'sns', headers: json, body: sns({ TopicArn: `${TOPIC}-of-others` }) },
    { type: 'sns', headers: json, body: sns({ Timestamp: new Date(now - 4_000_000).toISOString() }) },
    { type: 'sns', headers: json, body: sns({ Type: 'SubscriptionConfirmation', SubscribeURL: 'http://127.0.0.1/' }) },
  ];
}
const ce = (attributes: Record<string, string>) =>
  Object.fromEntries(Object.entries(attributes).map(([name, text]) => [`ce-${name}`, text]));

/** Bytes that are hardly HTTP, on a socket of their own. */
function raw(bytes: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes));
    socket.on('error', () => resolve());
    socket.on('close', () => resolve());
    socket.resume();
  });
}

const objects = async () => (await readdir(join(folder, 'bucket'), { recursive: true })).sort();

test('of 10,000 malformed, mis-signed and replayed requests none is taken, none crashes the API, and none stays in memory', async () => {
  const paths = await makeTriggers();
  const good = { type: 'json', headers: { authorization: `Bearer ${SECRET}` }, body: '{"text":"good"}' };
  const post = ({
    type,
    headers,
    body,
  }: {
    type: string;
    headers: Record<string, string>;
    body: string | Uint8Array;
  }) => send({ path: paths[type] ?? '', headers: { 'content-type': 'application/json', ...headers }, body });
  expect(await post(good)).toMatchObject({ status: 202, body: { items: [{ duplicate: false }] } });
  const before = await objects();
  const statuses = new Map<number, number>();
  const strangers = fc.sample(stranger, { numRuns: REQUESTS, seed: 6 });
  let next = 0;
  let settled = 0;
  const one = async (n: number) => {
    if (n % 50 === 0)
      return raw(n % 100 === 0 ? randomBytes(400) : `POST ${paths.json} HTTP/1.1\r\ncontent-length: 9\r\n\r\n{`);
    const forged = forgeries(n);
    const chosen = n % 3 === 0 ? forged[(n / 3) % forged.length] : undefined;
    const { type, headers, contentType, body } = strangers[n] ?? {
      type: 'json',
      headers: {},
      contentType: '',
      body: '',
    };
    const answer =
      chosen === undefined
        ? await post({ type, headers: { 'content-type': contentType, ...headers }, body })
        : await post(chosen);
    statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
  };
  let settledMb = 0;
  await Promise.all(
    Array.from({ length: SIDE_BY_SIDE }, async () => {
      for (let n = next++; n < REQUESTS; n = next++) {
        await one(n);
        // Warm by then: code is compiled, and buffers are as large as they get.
        if (++settled === REQUESTS / 2) settledMb = memoryOf(api.pid).nowMb;
      }
    }),
  );
  expect([...statuses.keys()].filter((status) => ![400, 401, 413, 415, 431].includes(status))).toEqual([]);
  expect([...statuses.values()].reduce((sum, count) => sum + count, 0)).toBe(REQUESTS - REQUESTS / 50);
  expect(await objects()).toEqual(before);
  expect(api.running).toBe(true);
  // The second 5,000 have not made it larger than noise.
  expect(memoryOf(api.pid).nowMb - settledMb).toBeLessThan(24);
  // What is good is taken as before; played back it is the item it was.
  expect(await post(good)).toMatchObject({ status: 202, body: { items: [{ duplicate: true }] } });
  process.stderr.write(
    `  statuses ${JSON.stringify([...statuses].sort())}, ${settledMb.toFixed(0)} MB at half, ${memoryOf(api.pid).nowMb.toFixed(0)} MB\n`,
  );
}, 600_000);
