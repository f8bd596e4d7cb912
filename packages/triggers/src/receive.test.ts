import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Bucket, openBucket } from '@batchmill/bucket';
import { TriggerCreate } from '@batchmill/contract';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Receiver } from './receive.ts';
import { CERT, CERT_URL, message, raw, TOPIC } from './sources/test-sns.ts';
import { createTrigger, deleteTrigger, updateTrigger } from './triggers/triggers.ts';

let folder: string;
let bucket: Bucket;
let receiver: Receiver;
/** What was asked of Amazon, and whether it answers. */
let asked: string[];
let answers: boolean;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-receive-'));
  bucket = await openBucket(pathToFileURL(folder).href);
  asked = [];
  answers = true;
  receiver = new Receiver({
    batch: { bucket, trigger: async () => {} },
    policy: async () => 'a-policy',
    fetchText: async (url) => {
      asked.push(url);
      if (!answers) throw new Error('no answer');
      return CERT;
    },
    onError: () => {},
    refreshMs: 400,
  });
});
afterEach(async () => {
  await receiver.close();
  await bucket.close();
  await rm(folder, { recursive: true, force: true });
});

const make = () =>
  createTrigger(
    bucket,
    'acme',
    TriggerCreate.parse({
      name: 'scans',
      source: { type: 'sns', topic_arn: TOPIC },
      template: {
        task: 'ocr',
        body: {
          model: 'default',
          document: { type: 'document_url', document_url: 's3://{{ object.bucket }}/{{ object.key }}' },
        },
      },
    }),
  );
const SUBSCRIBE = {
  Type: 'SubscriptionConfirmation',
  Token: 't',
  SubscribeURL: `https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${TOPIC}&Token=t`,
};

test('SNS is subscribed to by itself, and its notifications become items', async () => {
  const { id, secret } = await make();
  expect(secret).toBeUndefined();
  const post = async (more: Record<string, string>, version = '2') =>
    receiver.receive(await receiver.trigger(id), raw(message(more, version)));
  expect(await post(SUBSCRIBE)).toMatchObject({ items: [], filtered: 0 });
  expect(asked).toEqual([CERT_URL, SUBSCRIBE.SubscribeURL]);
  expect(await post({}, '1')).toMatchObject({ items: [{ duplicate: false }] });
  // SNS delivers again what it got no answer for.
  expect(await post({ MessageId: 'm2' })).toMatchObject({ items: [{ duplicate: true }] });
  expect(asked).toHaveLength(2);
});

test('what Amazon does not answer is asked for again later', async () => {
  const { id } = await make();
  const post = async (body: unknown) => receiver.receive(await receiver.trigger(id), raw(body));
  answers = false;
  await expect(post(message())).rejects.toMatchObject({ status: 503 });
  answers = true;
  expect((await post(message())).items).toHaveLength(1);
  answers = false;
  await expect(post(message(SUBSCRIBE))).rejects.toMatchObject({ status: 503 });
});

test('a subscription that is not signed is not confirmed', async () => {
  const { id } = await make();
  const forged = { ...message(SUBSCRIBE), Token: 'another' };
  await expect(receiver.receive(await receiver.trigger(id), raw(forged))).rejects.toMatchObject({ status: 401 });
  expect(asked).toEqual([CERT_URL]);
});

test('a change is in force within seconds, though no event waits for it', async () => {
  const { id } = await make();
  const before = await receiver.trigger(id);
  await updateTrigger(bucket, 'acme', id, { limits: { max_items: 3 } });
  expect(await receiver.trigger(id)).toBe(before);
  await expect
    .poll(async () => (await receiver.trigger(id)).fact.limits.max_items, { timeout: 15_000, interval: 50 })
    .toBe(3);
  await deleteTrigger(bucket, 'acme', id);
  await expect
    .poll(() => receiver.trigger(id).catch((error: { status: number }) => error.status), {
      timeout: 15_000,
      interval: 50,
    })
    .toBe(404);
});
