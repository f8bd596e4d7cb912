import { type EventFile, objectOfFile } from '../template/template.ts';
import { cloudEventsSource, ofStructured } from './cloudevents.ts';
import { githubSource } from './github.ts';
import { plainJsonSource } from './plain-json.ts';
import { notReadable, type RawEvent, type Source, type VerifiedEvent } from './port.ts';
import { s3Events, s3Source } from './s3.ts';
import type { Secrets } from './secrets.ts';
import { type Certificates, messageOf, snsSource } from './sns.ts';
import { standardWebhooksSource } from './standard-webhooks.ts';

export type SourceType = 's3' | 'sns' | 'cloudevents' | 'standard_webhooks' | 'github' | 'json' | 'form';

/** How a trigger's sender is verified. `form` is `json` with fields and files; the route reads the form. */
export function openSource(
  source: { type: SourceType; topic_arn?: string | undefined },
  secrets: Secrets,
  certificates: Certificates,
): Source {
  switch (source.type) {
    case 's3':
      return s3Source(secrets);
    case 'sns':
      return snsSource({ topicArn: source.topic_arn ?? '', certificates });
    case 'cloudevents':
      return cloudEventsSource(secrets);
    case 'standard_webhooks':
      return standardWebhooksSource(secrets);
    case 'github':
      return githubSource(secrets);
    case 'json':
    case 'form':
      return plainJsonSource(secrets);
  }
}

/** The file a sample of a form comes with. */
const SAMPLE_FILE: EventFile = {
  field: 'file',
  filename: 'sample.pdf',
  file_id: `file-${'0'.repeat(32)}`,
  bytes: 1_000,
  content_type: 'application/pdf',
};

/** The events in a body as a sender of this kind would post it, unverified: for samples and tests. @throws RequestError 400 */
export function sampleEvents(type: SourceType, body: unknown): VerifiedEvent[] {
  if (type === 's3') return s3Events(body);
  if (type === 'sns') return s3Events(messageOf(body) ?? body);
  if (type === 'cloudevents') return (Array.isArray(body) ? body : [body]).map(ofStructured);
  const named = typeof body === 'object' && body !== null && 'type' in body ? body.type : undefined;
  if (body === undefined) throw notReadable('there is no body');
  const object = type === 'form' ? objectOfFile(SAMPLE_FILE) : null;
  return [{ key: 'sample', type: typeof named === 'string' ? named : 'event', object, data: body }];
}

/** The files that a sample comes with. */
export function sampleFiles(type: SourceType): EventFile[] {
  return type === 'form' ? [SAMPLE_FILE] : [];
}

export type { RawEvent, Source, VerifiedEvent };
