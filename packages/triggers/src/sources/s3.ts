import { z } from 'zod';
import { jsonBody } from './json.ts';
import { MOST_EVENTS, notReadable, type Source, tooManyEvents, type VerifiedEvent } from './port.ts';
import { requireBearer, type Secrets } from './secrets.ts';

/**
 * S3 event notifications, as AWS words them and MinIO, SeaweedFS and Ceph do too.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
 */
const Notification = z.object({
  Records: z.array(
    z.object({
      eventName: z.string(),
      eventTime: z.string().optional(),
      s3: z.object({
        bucket: z.object({ name: z.string() }),
        object: z.object({
          key: z.string(),
          size: z.number().nonnegative().optional(),
          eTag: z.string().optional(),
          versionId: z.string().optional(),
          sequencer: z.string().optional(),
          contentType: z.string().optional(),
        }),
      }),
    }),
  ),
});

/** Events of S3 through EventBridge. https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html */
const EventBridge = z.object({
  source: z.literal('aws.s3'),
  'detail-type': z.string(),
  detail: z.object({
    bucket: z.object({ name: z.string() }),
    object: z.object({
      key: z.string(),
      size: z.number().nonnegative().optional(),
      etag: z.string().optional(),
      'version-id': z.string().optional(),
      sequencer: z.string().optional(),
    }),
  }),
});

/** Event notifications of Cloudflare R2. https://developers.cloudflare.com/r2/buckets/event-notifications/ */
const R2 = z.object({
  action: z.string(),
  bucket: z.string(),
  object: z.object({ key: z.string(), size: z.number().nonnegative().optional(), eTag: z.string().optional() }),
  eventTime: z.string().optional(),
});

/**
 * What SeaweedFS's filer posts (`notification.webhook`): every file is an event, buckets are folders.
 * https://github.com/seaweedfs/seaweedfs/wiki/Filer-Notification-Webhook
 */
const Seaweed = z.object({
  key: z.string(),
  event_type: z.string(),
  message: z.object({
    new_entry: z
      .object({
        is_directory: z.boolean().optional(),
        attributes: z
          .object({
            file_size: z.number().optional(),
            /** Unix seconds. */
            mtime: z.number().optional(),
            mime: z.string().optional(),
            md5: z.string().optional(),
          })
          .optional(),
      })
      .nullish(),
  }),
});

/** MinIO tests a webhook with a body that is empty, AWS with `s3:TestEvent`: both are no event. */
const Test = z.object({ Event: z.literal('s3:TestEvent') });

/**
 * Notifications that a store, or a forwarder such as a Cloudflare Worker or an EventBridge connection, posts with a secret
 * as bearer token (also as `x-api-key`).
 */
export function s3Source(secrets: Secrets): Source {
  return {
    verify: async (event) => {
      requireBearer(event, secrets, ['x-api-key']);
      return { events: event.body.length === 0 ? [] : s3Events(jsonBody(event)) };
    },
  };
}

/** The events of a notification in any of these forms. @throws RequestError 400 */
export function s3Events(body: unknown): VerifiedEvent[] {
  const events = eventsIn(body);
  if (events.length > MOST_EVENTS) throw tooManyEvents();
  return events;
}

function eventsIn(body: unknown): VerifiedEvent[] {
  if (Array.isArray(body)) return body.flatMap(eventsIn);
  if (Test.safeParse(body).success) return [];
  const records = Notification.safeParse(body);
  if (records.success) return records.data.Records.map((record, i) => ofRecord(record, Object(body).Records[i]));
  const bridge = EventBridge.safeParse(body);
  if (bridge.success) {
    const { bucket, object } = bridge.data.detail;
    return [
      {
        key: keyOf(bucket.name, object.key, object['version-id'], object.sequencer, object.etag),
        type: bridge.data['detail-type'],
        object: {
          bucket: bucket.name,
          key: object.key,
          size: object.size ?? null,
          etag: object.etag ?? null,
          contentType: null,
          arrived: bridge.data['detail-type'] === 'Object Created',
        },
        data: body,
      },
    ];
  }
  const r2 = R2.safeParse(body);
  if (r2.success) {
    const { action, bucket, object, eventTime } = r2.data;
    return [
      {
        key: keyOf(bucket, object.key, undefined, eventTime, object.eTag),
        type: action,
        object: {
          bucket,
          key: object.key,
          size: object.size ?? null,
          etag: object.eTag ?? null,
          contentType: null,
          arrived: /^(Put|Copy|CompleteMultipart)/.test(action),
        },
        data: body,
      },
    ];
  }
  const seaweed = Seaweed.safeParse(body);
  if (seaweed.success) return ofSeaweed(seaweed.data, body);
  throw notReadable('it is not an S3 notification, an EventBridge event of S3, or one of R2 or SeaweedFS');
}

type Record = z.infer<typeof Notification>['Records'][number];

function ofRecord({ eventName, eventTime, s3: { bucket, object } }: Record, data: unknown): VerifiedEvent {
  // Keys come as forms are sent: `+` for a space.
  const key = decoded(object.key);
  const type = eventName.replace(/^s3:/, '');
  return {
    key: keyOf(bucket.name, key, object.versionId, object.sequencer, object.eTag, eventTime),
    type,
    object: {
      bucket: bucket.name,
      key,
      size: object.size ?? null,
      etag: object.eTag ?? null,
      contentType: object.contentType ?? null,
      arrived: type.startsWith('ObjectCreated'),
    },
    data,
  };
}

function ofSeaweed({ key: path, event_type: type, message }: z.infer<typeof Seaweed>, data: unknown): VerifiedEvent[] {
  const { new_entry: entry } = message;
  const [, bucket, key] = /^\/buckets\/([^./][^/]*)\/(.+)$/.exec(path) ?? [];
  // Folders, what lies outside of buckets, parts of uploads, and what is gone are no objects.
  if (bucket === undefined || key === undefined || entry == null) return [];
  if (entry.is_directory === true || key.startsWith('.uploads/')) return [];
  const { file_size: size, mtime, mime, md5 } = entry.attributes ?? {};
  return [
    {
      key: keyOf(bucket, key, [mtime, size, md5].filter((part) => part !== undefined).join('.')),
      type,
      object: { bucket, key, size: size ?? null, etag: md5 ?? null, contentType: mime ?? null, arrived: true },
      data,
    },
  ];
}

function decoded(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    return key;
  }
}

/** The same version of the same object is the same event, however often and by whomever it is told. */
function keyOf(bucket: string, key: string, ...versions: (string | undefined)[]): string {
  // `null` is every version of an object in a bucket whose versioning is suspended.
  return JSON.stringify([bucket, key, versions.find((version) => version && version !== 'null') ?? '']);
}
