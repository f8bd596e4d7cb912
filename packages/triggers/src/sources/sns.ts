import { createVerify, X509Certificate } from 'node:crypto';
import { RequestError } from '@batchmill/contract';
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

/** Amazon's own hosts for SNS; nothing may stand before or behind. */
const HOST = /^sns\.[a-z0-9-]{1,40}\.amazonaws\.(com|com\.cn|eu)$/;
/**
 * Where certificates are. The host alone is not enough: the SNS API answers at the same one, and parts of its answers can be
 * made to hold a certificate of somebody else's.
 */
const CERTIFICATE = /^\/SimpleNotificationService-[0-9a-f]{1,64}\.pem$/;
/** SNS delivers again for hours, with the time of the first attempt. */
const TOLERANCE_MS = 60 * 60 * 1000;
const MOST_CERTIFICATES = 50;

/** Certificates by URL, each fetched once. */
export class Certificates {
  readonly #fetchPem: (url: string) => Promise<string>;
  readonly #known = new Map<string, Promise<X509Certificate>>();

  /** @param fetchPem gets a certificate, in PEM, from a URL of Amazon's */
  constructor(fetchPem: (url: string) => Promise<string>) {
    this.#fetchPem = fetchPem;
  }

  get(url: string): Promise<X509Certificate> {
    const known = this.#known.get(url);
    if (known !== undefined) return known;
    if (this.#known.size >= MOST_CERTIFICATES) this.#known.clear();
    const fetched = this.#fetchPem(url).then((pem) => new X509Certificate(pem));
    this.#known.set(url, fetched);
    fetched.catch(() => this.#known.delete(url));
    return fetched;
  }
}

export interface SnsOptions {
  /** Certificates that were fetched, by URL: of all triggers together. */
  certificates: Certificates;
  /** Only messages of this topic are taken. */
  topicArn: string;
}

/**
 * S3 notifications through an SNS topic. Verified by the signature SNS makes over the message, against a certificate from a
 * host of Amazon's: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html. Raw message delivery must
 * be off, since raw messages are not signed.
 */
export function snsSource({ topicArn, certificates }: SnsOptions): Source {
  return {
    async verify(event) {
      const parsed = Message.safeParse(jsonBody(event));
      if (!parsed.success) throw notReadable('it is not a message of SNS. Is raw message delivery on? Turn it off');
      const message = parsed.data;
      const age = event.receivedAt - Date.parse(message.Timestamp);
      if (message.TopicArn !== topicArn || !isCertificate(message.SigningCertURL)) throw notVerified();
      if (!(Math.abs(age) <= TOLERANCE_MS)) throw notVerified();
      const cert = await certificates.get(message.SigningCertURL).catch((error: unknown) => {
        throw new RequestError(503, 'The certificate of SNS cannot be had right now. Send this again.', {
          code: 'unavailable',
          cause: error,
        });
      });
      const now = new Date(event.receivedAt);
      const inTime = now >= new Date(cert.validFrom) && now <= new Date(cert.validTo);
      if (!inTime || !isSigned(message, cert)) throw notVerified();
      if (message.Type === 'SubscriptionConfirmation') {
        if (message.SubscribeURL === undefined || !isConfirmation(message.SubscribeURL, topicArn)) throw notVerified();
        return { confirm: message.SubscribeURL };
      }
      if (message.Type === 'UnsubscribeConfirmation') return { events: [] };
      return { events: s3Events(messageOf(message)) };
    },
  };
}

const Carrier = z.object({ Message: z.string(), TopicArn: z.string() });

/** What an SNS message carries; `null` if it is no such message. @throws RequestError 400 */
export function messageOf(message: unknown): unknown {
  const parsed = Carrier.safeParse(message);
  if (!parsed.success) return null;
  return jsonBody({ headers: {}, body: Buffer.from(parsed.data.Message), receivedAt: 0 });
}

function isOfAmazon(url: URL): boolean {
  return url.protocol === 'https:' && url.port === '' && url.username === '' && HOST.test(url.hostname);
}

function isCertificate(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && isOfAmazon(url) && CERTIFICATE.test(url.pathname) && url.search === '' && url.hash === '';
}

function isConfirmation(text: string, topicArn: string): boolean {
  const url = URL.parse(text);
  if (url === null || !isOfAmazon(url)) return false;
  return url.searchParams.get('Action') === 'ConfirmSubscription' && url.searchParams.get('TopicArn') === topicArn;
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
