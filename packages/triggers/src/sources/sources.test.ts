import { createHmac } from 'node:crypto';
import { RequestError } from '@batchmill/contract';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { cloudEventsSource } from './cloudevents.ts';
import { githubSource } from './github.ts';
import { plainJsonSource } from './plain-json.ts';
import type { RawEvent, Source } from './port.ts';
import { s3Source } from './s3.ts';
import { standardWebhooksSource } from './standard-webhooks.ts';

const SECRET = 'a-secret-of-some-length';
const NOW = Date.parse('2026-11-25T12:00:00Z');
const raw = (body: unknown, headers: Record<string, string> = {}): RawEvent => ({
  headers,
  body: typeof body === 'string' ? Buffer.from(body) : Buffer.from(JSON.stringify(body)),
  receivedAt: NOW,
});
const bearer = { authorization: `Bearer ${SECRET}` };
async function events(source: Source, event: RawEvent) {
  const verified = await source.verify(event);
  return 'events' in verified ? verified.events : [];
}

describe('S3 notifications', () => {
  const record = (key: string, more = {}) => ({
    eventName: 's3:ObjectCreated:Put',
    s3: { bucket: { name: 'scans' }, object: { key, size: 12, eTag: 'abc', versionId: 'v1', ...more } },
  });

  it('are read from MinIO, SeaweedFS and AWS alike, keys as they are', async () => {
    const [first, second] = await events(
      s3Source(() => [SECRET]),
      raw({ EventName: 's3:ObjectCreated:Put', Records: [record('in/my+file%C3%BC.pdf'), record('b')] }, bearer),
    );
    expect(first).toMatchObject({
      type: 'ObjectCreated:Put',
      object: { bucket: 'scans', key: 'in/my fileü.pdf', size: 12, etag: 'abc' },
    });
    expect(second?.key).not.toBe(first?.key);
  });

  it('of the same version of an object have the same key, whatever else differs', async () => {
    const one = await events(
      s3Source(() => [SECRET]),
      raw({ Records: [record('a')] }, bearer),
    );
    const two = await events(
      s3Source(() => [SECRET]),
      raw({ Records: [record('a', { contentType: 'x/y' })], more: 1 }, bearer),
    );
    const other = await events(
      s3Source(() => [SECRET]),
      raw({ Records: [record('a', { versionId: 'v2' })] }, bearer),
    );
    expect(one[0]?.key).toBe(two[0]?.key);
    expect(one[0]?.key).not.toBe(other[0]?.key);
  });

  it('come through EventBridge and from R2 too', async () => {
    const [bridge] = await events(
      s3Source(() => [SECRET]),
      raw(
        {
          source: 'aws.s3',
          'detail-type': 'Object Created',
          detail: { bucket: { name: 'scans' }, object: { key: 'a.pdf', size: 5, etag: 'e', sequencer: '1' } },
        },
        { 'x-api-key': SECRET },
      ),
    );
    expect(bridge).toMatchObject({ type: 'Object Created', object: { bucket: 'scans', key: 'a.pdf', size: 5 } });
    const [r2] = await events(
      s3Source(() => [SECRET]),
      raw({ account: 'x', action: 'PutObject', bucket: 'b', object: { key: 'k', size: 1, eTag: 'e' } }, bearer),
    );
    expect(r2).toMatchObject({ type: 'PutObject', object: { bucket: 'b', key: 'k' } });
  });

  it('of SeaweedFS are read as its filer posts them', async () => {
    const seaweed = (path: string, entry: object | null) => ({
      event_type: 'create',
      key: path,
      message: { new_entry: entry },
    });
    const file = { name: 'a.pdf', attributes: { file_size: 5, mtime: 1_795_577_696, md5: 'q==' } };
    const of = (body: object) =>
      events(
        s3Source(() => [SECRET]),
        raw(body, bearer),
      );
    expect(await of(seaweed('/buckets/scans/in/a.pdf', file))).toMatchObject([
      { type: 'create', object: { bucket: 'scans', key: 'in/a.pdf', size: 5, etag: 'q==' } },
    ]);
    expect(await of(seaweed('/buckets/scans/in', { is_directory: true }))).toEqual([]);
    expect(await of(seaweed('/buckets/.system/owners/x', file))).toEqual([]);
    expect(await of(seaweed('/buckets/scans/.uploads/1/0001.part', file))).toEqual([]);
    expect(await of(seaweed('/buckets/scans/gone', null))).toEqual([]);
  });

  it('that only test the webhook are no event', async () => {
    expect(
      await events(
        s3Source(() => [SECRET]),
        raw({ Service: 'Amazon S3', Event: 's3:TestEvent' }, bearer),
      ),
    ).toEqual([]);
    expect(
      await events(
        s3Source(() => [SECRET]),
        raw('', { authorization: SECRET }),
      ),
    ).toEqual([]);
  });
});

describe('CloudEvents', () => {
  const event = { specversion: '1.0', id: '1', source: '/s', type: 'thing.made', data: { a: 1 } };
  it('are taken structured, in batches and binary', async () => {
    const source = cloudEventsSource(() => [SECRET]);
    const structured = await events(source, raw(event, { ...bearer, 'content-type': 'application/cloudevents+json' }));
    const batch = await events(
      source,
      raw([event, { ...event, id: '2' }], { ...bearer, 'content-type': 'application/cloudevents-batch+json' }),
    );
    const binary = await events(
      source,
      raw({ a: 1 }, { ...bearer, 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '%2Fs', 'ce-type': 'thing.made' }),
    );
    expect(structured).toMatchObject([{ type: 'thing.made', data: { data: { a: 1 } } }]);
    expect(batch.map((one) => one.key)).toEqual([structured[0]?.key, expect.any(String)]);
    expect(binary[0]).toMatchObject({ key: structured[0]?.key, data: { id: '1', data: { a: 1 } } });
  });

  it('may be signed instead, but a signature does not vouch for headers', async () => {
    const body = JSON.stringify(event);
    const signature = `sha256=${createHmac('sha256', SECRET).update(body).digest('hex')}`;
    expect(
      await events(
        cloudEventsSource(() => [SECRET]),
        raw(body, { 'x-signature-256': signature }),
      ),
    ).toHaveLength(1);
    const binary = raw(body, {
      'x-signature-256': signature,
      'ce-specversion': '1.0',
      'ce-id': '9',
      'ce-source': 's',
      'ce-type': 't',
    });
    await expect(cloudEventsSource(() => [SECRET]).verify(binary)).rejects.toMatchObject({ status: 401 });
  });
});

describe('Standard Webhooks', () => {
  const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
  const webhook = new Webhook(secret);
  const signed = (body: string, at: Date, id = 'msg_1') =>
    raw(body, {
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': webhook.sign(id, at, body),
    });
  it('are taken once signed, and refused when old, changed, or signed by another', async () => {
    const now = new Date();
    const at = (event: RawEvent, receivedAt = now.getTime()) => ({ ...event, receivedAt });
    const source = standardWebhooksSource(() => [secret]);
    expect(await events(source, at(signed('{"type":"a.b"}', now)))).toMatchObject([{ key: 'msg_1', type: 'a.b' }]);
    const old = new Date(now.getTime() - 301_000);
    await expect(source.verify(at(signed('{}', old)))).rejects.toMatchObject({ status: 401 });
    await expect(source.verify(at({ ...signed('{}', now), body: Buffer.from('{ }') }))).rejects.toMatchObject({
      status: 401,
    });
    const other = standardWebhooksSource(() => [`whsec_${Buffer.alloc(24, 8).toString('base64')}`]);
    await expect(other.verify(at(signed('{}', now)))).rejects.toMatchObject({ status: 401 });
  });
});

describe('GitHub and plain JSON', () => {
  const body = '{"action":"opened"}';
  const signature = `sha256=${createHmac('sha256', SECRET).update(body).digest('hex')}`;
  it('are told apart by their bytes, or by the id they name', async () => {
    const github = (delivery: string) =>
      events(
        githubSource(() => [SECRET]),
        raw(body, { 'x-hub-signature-256': signature, 'x-github-event': 'issues', 'x-github-delivery': delivery }),
      );
    expect((await github('1'))[0]).toMatchObject({ type: 'issues', data: { action: 'opened' } });
    expect((await github('1'))[0]?.key).toBe((await github('2'))[0]?.key);
    const plain = (id?: string) =>
      events(
        plainJsonSource(() => [SECRET]),
        raw(body, { ...bearer, ...(id === undefined ? {} : { 'idempotency-key': id }) }),
      );
    expect((await plain('7'))[0]?.key).not.toBe((await plain('8'))[0]?.key);
    expect((await plain())[0]?.key).toBe((await plain())[0]?.key);
  });
});

const sources: Record<string, Source> = {
  s3: s3Source(() => [SECRET]),
  cloudevents: cloudEventsSource(() => [SECRET]),
  standard: standardWebhooksSource(() => [`whsec_${Buffer.alloc(24, 7).toString('base64')}`]),
  github: githubSource(() => [SECRET]),
  plain: plainJsonSource(() => [SECRET]),
};

describe.each(Object.entries(sources))('%s, attacked', (_, source) => {
  const name = fc.constantFrom(
    'authorization',
    'x-api-key',
    'x-hub-signature-256',
    'x-signature-256',
    'webhook-id',
    'webhook-timestamp',
    'webhook-signature',
    'ce-id',
    'ce-specversion',
    'ce-type',
    'content-type',
  );
  const value = fc.oneof(
    fc.string(),
    fc.constantFrom(
      'Bearer ',
      'Bearer x',
      SECRET.slice(1),
      `${SECRET} x`,
      'sha256=',
      `sha256=${'0'.repeat(64)}`,
      'v1,',
      String(NOW / 1000),
    ),
  );
  const body = fc.oneof(
    fc.string(),
    fc.json(),
    fc.uint8Array().map((b) => Buffer.from(b).toString('latin1')),
    fc.constant('['.repeat(5_000)),
  );

  it('takes nothing that is not signed, and breaks on nothing', async () => {
    await fc.assert(
      fc.asyncProperty(body, fc.dictionary(name, value), async (text, headers) => {
        const error = await source.verify(raw(text, headers)).catch((e: unknown) => e);
        expect(error).toBeInstanceOf(RequestError);
        expect(error).toMatchObject({ status: 401 });
      }),
      { numRuns: 2_000 },
    );
  });

  it('reads whatever is signed, or says that it cannot', async () => {
    await fc.assert(
      fc.asyncProperty(
        body,
        fc.constantFrom({}, { 'content-type': 'application/cloudevents-batch+json' }),
        async (text, more) => {
          const hmac = `sha256=${createHmac('sha256', SECRET).update(text).digest('hex')}`;
          const headers: Record<string, string> = { ...bearer, ...more, 'x-hub-signature-256': hmac };
          const outcome = await source.verify(raw(text, headers)).catch((e: unknown) => e);
          if (outcome instanceof RequestError) expect([400, 401]).toContain(outcome.status);
          else expect(outcome).toHaveProperty('events');
        },
      ),
      { numRuns: 200 },
    );
  });
});
