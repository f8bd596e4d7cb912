import { createVerify, X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { jsonBody } from './json.ts';
import { notReadable, notVerified, type Source } from './port.ts';
import { s3Events } from './s3.ts';

/** https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html */
const Message = z.object({
  Type: z.enum(['Notification', 'SubscriptionConfirmation', 'UnsubscribeConfirmation']),
  MessageId: z.string(),
  TopicArn: z.string(),
  Subject: z.string().optional(),
  Message: z.string(),
  Timestamp: z.string(),
  SignatureVersion: z.enum(['1', '2']),
  Signature: z.base64(),
  SigningCertURL: z.string(),
  SubscribeURL: z.string().optional(),
  Token: z.string().optional(),
});
type Message = z.infer<typeof Message>;

/** Amazon's own hosts for SNS, in every partition; nothing may stand before or behind. */
const HOST = /^sns\.[a-z0-9-]{1,40}\.amazonaws\.com(\.cn)?$/;
/** SNS delivers again for hours, with the time of the first attempt. */
const TOLERANCE_MS = 60 * 60 * 1000;
const MOST_CERTIFICATES = 20;

export interface SnsOptions {
  /** Only messages of this topic are taken. */
  topicArn: string;
  /** Fetches a certificate, in PEM. The URL's host is Amazon's. */
  fetchPem(url: string): Promise<string>;
}

/**
 * S3 notifications through an SNS topic. Verified by the signature SNS makes over the message, against a certificate from a
 * host of Amazon's: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html. Raw message delivery must
 * be off, since raw messages are not signed.
 */
export function snsSource({ topicArn, fetchPem }: SnsOptions): Source {
  const keys = new Map<string, Promise<X509Certificate>>();
  const certificate = (url: string) => {
    const known = keys.get(url);
    if (known !== undefined) return known;
    if (keys.size >= MOST_CERTIFICATES) keys.clear();
    const fetched = fetchPem(url).then((pem) => new X509Certificate(pem));
    keys.set(url, fetched);
    fetched.catch(() => keys.delete(url));
    return fetched;
  };
  return {
    async verify(event) {
      const parsed = Message.safeParse(jsonBody(event));
      if (!parsed.success) throw notReadable('it is not a message of SNS. Is raw message delivery on? Turn it off');
      const message = parsed.data;
      const age = event.receivedAt - Date.parse(message.Timestamp);
      if (message.TopicArn !== topicArn || !isOfAmazon(message.SigningCertURL)) throw notVerified();
      if (!(Math.abs(age) <= TOLERANCE_MS)) throw notVerified();
      const cert = await certificate(message.SigningCertURL).catch(() => {
        throw notVerified();
      });
      const now = new Date(event.receivedAt);
      const inTime = now >= new Date(cert.validFrom) && now <= new Date(cert.validTo);
      if (!inTime || !isSigned(message, cert)) throw notVerified();
      if (message.Type === 'SubscriptionConfirmation') {
        if (message.SubscribeURL === undefined || !isOfAmazon(message.SubscribeURL)) throw notVerified();
        return { confirm: message.SubscribeURL };
      }
      if (message.Type === 'UnsubscribeConfirmation') return { events: [] };
      let body: unknown;
      try {
        body = JSON.parse(message.Message);
      } catch {
        throw notReadable('the message in it is not JSON');
      }
      return { events: s3Events(body) };
    },
  };
}

function isOfAmazon(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return url.protocol === 'https:' && url.port === '' && url.username === '' && HOST.test(url.hostname);
}

const SIGNED: Record<Message['Type'], readonly (keyof Message)[]> = {
  Notification: ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'],
  SubscriptionConfirmation: ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
  UnsubscribeConfirmation: ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
};

function isSigned(message: Message, certificate: X509Certificate): boolean {
  const text = SIGNED[message.Type]
    .filter((name) => message[name] !== undefined)
    .map((name) => `${name}\n${message[name]}\n`)
    .join('');
  const verify = createVerify(message.SignatureVersion === '1' ? 'RSA-SHA1' : 'RSA-SHA256').update(text);
  try {
    return verify.verify(certificate.publicKey, message.Signature, 'base64');
  } catch {
    return false;
  }
}
