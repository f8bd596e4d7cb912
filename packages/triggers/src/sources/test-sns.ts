import { createSign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { RawEvent } from './port.ts';

/** Made for these tests (openssl, good for a hundred years): Amazon's own key signs for nobody else. */
const read = (name: string) => readFileSync(new URL(`./fixtures/${name}`, import.meta.url), 'utf8');
const KEY = read('sns-key.pem');
export const CERT = read('sns-cert.pem');
export const TOPIC = 'arn:aws:sns:eu-central-1:123456789012:scans';
export const CERT_URL = 'https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0.pem';

const NAMES = {
  Notification: ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'],
  SubscriptionConfirmation: ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
};
/** A message as SNS signs it. */
export function message(more: Record<string, string> = {}, version = '2'): Record<string, string> {
  const type = more.Type === 'SubscriptionConfirmation' ? 'SubscriptionConfirmation' : 'Notification';
  const unsigned: Record<string, string> = {
    Type: 'Notification',
    MessageId: 'm1',
    TopicArn: TOPIC,
    Message: JSON.stringify({
      Records: [{ eventName: 'ObjectCreated:Put', s3: { bucket: { name: 'b' }, object: { key: 'k', size: 1 } } }],
    }),
    Timestamp: new Date().toISOString(),
    SignatureVersion: version,
    SigningCertURL: CERT_URL,
    ...more,
  };
  const text = NAMES[type].filter((n) => n in unsigned).map((n) => `${n}\n${unsigned[n]}\n`);
  const sign = createSign(version === '1' ? 'RSA-SHA1' : 'RSA-SHA256').update(text.join(''));
  return { ...unsigned, Signature: sign.sign(KEY, 'base64') };
}
export const raw = (body: unknown): RawEvent => ({
  headers: {},
  body: Buffer.from(JSON.stringify(body)),
  receivedAt: Date.now(),
});
