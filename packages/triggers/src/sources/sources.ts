import { cloudEventsSource } from './cloudevents.ts';
import { githubSource } from './github.ts';
import { plainJsonSource } from './plain-json.ts';
import { notReadable, type RawEvent, type Source, type VerifiedEvent } from './port.ts';
import { s3Events, s3Source } from './s3.ts';
import { snsSource } from './sns.ts';
import { standardWebhooksSource } from './standard-webhooks.ts';

export type SourceType = 's3' | 'sns' | 'cloudevents' | 'standard_webhooks' | 'github' | 'json' | 'form';

/** How a trigger's sender is verified. `form` is `json` with fields and files; the route reads the form. */
export function openSource(
  source: { type: SourceType; secret: string; topic_arn?: string | undefined },
  fetchPem: (url: string) => Promise<string>,
): Source {
  switch (source.type) {
    case 's3':
      return s3Source(source.secret);
    case 'sns':
      return snsSource({ topicArn: source.topic_arn ?? '', fetchPem });
    case 'cloudevents':
      return cloudEventsSource(source.secret);
    case 'standard_webhooks':
      return standardWebhooksSource(source.secret);
    case 'github':
      return githubSource(source.secret);
    case 'json':
    case 'form':
      return plainJsonSource(source.secret);
  }
}

/** The events in a body as a sender of this kind would post it, unverified: for samples and tests. @throws RequestError 400 */
export function sampleEvents(type: SourceType, body: unknown): VerifiedEvent[] {
  if (type === 's3' || type === 'sns') return s3Events(body);
  const named = typeof body === 'object' && body !== null && 'type' in body ? body.type : undefined;
  if (body === undefined) throw notReadable('there is no body');
  return [{ key: 'sample', type: typeof named === 'string' ? named : 'event', object: null, data: body }];
}

export type { RawEvent, Source, VerifiedEvent };
