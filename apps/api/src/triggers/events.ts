import { EventsAccepted, newId } from '@batchmill/contract';
import { deleteFile, type StagedFile, secondsOf, stageFile } from '@batchmill/files';
import { type RawEvent, type ReadyTrigger, requireBearer, type Upload } from '@batchmill/triggers';
import { createRoute, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Api, Deps, Env } from '../deps.ts';
import { parseFilename } from '../files/form.ts';
import { formOf, readForm } from '../http/multipart.ts';
import { readRawBody } from '../http/raw-body.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';

/** Largest body of an event; a form's file may be as large as any other. */
const MOST_BYTES = 2 ** 20;
/** Files of one form; together they may have what one file may. */
const MOST_FILES = 20;
/** Files of forms are kept for a month, like those of batches. */
const FILE_SECONDS = 30 * 86_400;

const PATH = '/v1/triggers/:trigger_id/events';

const route = createRoute({
  method: 'post',
  path: '/v1/triggers/{trigger_id}/events',
  operationId: 'postEvents',
  tags: ['Triggers'],
  summary: 'Post an event to a trigger',
  description:
    'Needs no API key: the sender proves by its signature or secret who it is. With status 202 the event is stored and becomes ' +
    'an item of the batch named; one that came before is the item it was. 429 and 503: send it again.',
  security: [],
  request: { params: z.object({ trigger_id: z.string() }) },
  responses: {
    202: json('Stored', EventsAccepted),
    ...ANY_ERROR,
    400: ERROR[400],
    404: ERROR[404],
    413: ERROR[413],
    415: ERROR[415],
    422: ERROR[422],
    429: ERROR[429],
  },
});

export function postEventsRoute(api: Api, { bucket, batch, limits, receiver }: Deps): void {
  api.openapi(route, async (c) => {
    // Before a byte of the body is read: requests to nowhere, or too many, cost nothing.
    const trigger = await receiver.trigger(c.req.valid('param').trigger_id);
    if (trigger.fact.source.type === 'form') return c.json(await receiveForm(c, trigger), 202);
    // Off the socket, as multipart forms are: a web stream around it would cost more than everything else here.
    const body = await readRawBody(formOf(c), MOST_BYTES);
    const raw = { headers: c.req.header(), body, receivedAt: Date.now() };
    return c.json(await receiver.receive(trigger, raw), 202);
  });

  // Whoever sends CloudEvents may ask first whether they are wanted here (Azure Event Grid does): the specification "HTTP 1.1 Web
  // Hooks for Event Delivery", section 4.
  api.options(PATH, async (c) => {
    const { fact } = await receiver.trigger(c.req.param('trigger_id') ?? '');
    c.header('allow', 'POST');
    const origin = c.req.header('webhook-request-origin');
    if (fact.source.type === 'cloudevents' && origin !== undefined) {
      c.header('webhook-allowed-origin', origin);
      c.header('webhook-allowed-rate', String(fact.limits.requests_per_second * 60));
    }
    return c.body(null, 204);
  });

  async function receiveForm(c: Context<Env>, trigger: ReadyTrigger): Promise<EventsAccepted> {
    const { tenant } = trigger.fact;
    const headers = c.req.header();
    // Files are only taken from who has the secret.
    const raw: RawEvent = { headers, body: new Uint8Array(), receivedAt: Date.now() };
    requireBearer(raw, trigger.secrets, ['x-api-key']);
    const form = await readForm<StagedFile & { type: string }>(formOf(c), {
      file: null,
      most: MOST_FILES,
      maxBytes: limits.fileBytes,
      receive: async (source, filename, type) => {
        parseFilename(filename);
        return { ...(await stageFile(bucket, tenant, source)), type };
      },
      discard: (staged) => staged.discard(),
    });
    const mostSeconds = secondsOf(batch.retention?.(tenant).files ?? null);
    let published = false;
    const upload: Upload = {
      files: form.files.map(({ field, filename, received: { id, bytes, type } }) => ({
        field,
        filename,
        file_id: id,
        bytes,
        content_type: type,
      })),
      publish: async () => {
        published = true;
        for (const { filename, received } of form.files)
          await received.publish({ filename, purpose: 'user_data', secondsToLive: FILE_SECONDS, mostSeconds });
      },
      discard: async () => {
        for (const { received } of form.files)
          await (published ? deleteFile(bucket, tenant, received.id) : received.discard());
      },
    };
    // A form with a file is an event of its own unless it names itself: two scans may well have the same fields.
    const own =
      form.files.length === 0 || headers['idempotency-key'] !== undefined ? {} : { 'idempotency-key': newId('evt_') };
    const body = Buffer.from(JSON.stringify(Object.fromEntries(form.fields)));
    return receiver.receive(trigger, { ...raw, headers: { ...headers, ...own }, body }, upload);
  }
}
