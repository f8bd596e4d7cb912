import { describe, expect, it } from 'vitest';
import { Certificates, snsSource } from './sns.ts';
import { CERT, CERT_URL, message, raw, TOPIC } from './test-sns.ts';

const fetched: string[] = [];
const source = snsSource({
  topicArn: TOPIC,
  certificates: new Certificates(async (url) => {
    fetched.push(url);
    return CERT;
  }),
});

describe('snsSource', () => {
  it.each(['1', '2'])(
    'takes S3 notifications signed in version %s, and fetches a certificate once',
    async (version) => {
      fetched.length = 0;
      const own = snsSource({
        topicArn: TOPIC,
        certificates: new Certificates(async (url) => {
          fetched.push(url);
          return CERT;
        }),
      });
      for (const subject of ['one', 'two'])
        expect(await own.verify(raw(message({ Subject: subject }, version)))).toMatchObject({
          events: [{ type: 'ObjectCreated:Put', object: { bucket: 'b', key: 'k' } }],
        });
      expect(fetched).toEqual([CERT_URL]);
    },
  );

  it('asks for a subscription to be confirmed, at Amazon only', async () => {
    const url = `https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${TOPIC}&Token=t`;
    const confirm = { Type: 'SubscriptionConfirmation', Token: 't', SubscribeURL: url };
    expect(await source.verify(raw(message(confirm)))).toEqual({ confirm: url });
    const elsewhere = message({ ...confirm, SubscribeURL: 'https://sns.eu-central-1.amazonaws.com.evil.example/' });
    await expect(source.verify(raw(elsewhere))).rejects.toMatchObject({ status: 401 });
  });

  it.each([
    ['another topic', message({ TopicArn: `${TOPIC}2` })],
    ['an old message', message({ Timestamp: new Date(Date.now() - 2 * 3_600_000).toISOString() })],
    ['no time', message({ Timestamp: 'yesterday' })],
    ['a changed message', { ...message(), Message: '{"Records":[]}' }],
    ['a certificate from elsewhere', message({ SigningCertURL: 'https://evil.example/cert.pem' })],
    ['a host that looks like Amazon', message({ SigningCertURL: 'https://sns.x.amazonaws.com.evil.example/c.pem' })],
    ['a host before an @', message({ SigningCertURL: 'https://sns.x.amazonaws.com@evil.example/c.pem' })],
    ['a certificate without TLS', message({ SigningCertURL: CERT_URL.replace('https', 'http') })],
    ['another port', message({ SigningCertURL: CERT_URL.replace('.com/', '.com:8443/') })],
    [
      'an answer of the SNS API',
      message({
        SigningCertURL: 'https://sns.x.amazonaws.com/?Action=GetTopicAttributes&x=/SimpleNotificationService-0.pem',
      }),
    ],
    ['another path', message({ SigningCertURL: 'https://sns.x.amazonaws.com/cert.pem' })],
    ['a query', message({ SigningCertURL: `${CERT_URL}?x` })],
    ['a bucket named like the host', message({ SigningCertURL: 'https://s3.amazonaws.com/sns.x.amazonaws.com/c.pem' })],
  ])('refuses %s, and fetches nothing from elsewhere', async (_, body) => {
    fetched.length = 0;
    await expect(source.verify(raw(body))).rejects.toMatchObject({ status: 401 });
    for (const url of fetched) expect(url).toBe(CERT_URL);
  });
});
