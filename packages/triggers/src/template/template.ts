import {
  ChatRequest,
  invalid,
  OcrRequest,
  RequestError,
  TranscriptionRequest,
  type TriggerTemplate,
} from '@batchmill/contract';
import { z } from 'zod';
import type { EventObject, VerifiedEvent } from '../sources/port.ts';
import { ExpressionError } from './expression-error.ts';
import { typeOfName } from './media-type.ts';
import { sandbox } from './sandbox.ts';

/** What items of a task are sent to, and what their bodies must be. */
const TASKS = {
  ocr: { url: '/v1/ocr', body: OcrRequest },
  transcription: { url: '/v1/audio/transcriptions', body: TranscriptionRequest },
  chat: { url: '/v1/chat/completions', body: ChatRequest },
} as const;

export interface Item {
  url: (typeof TASKS)[keyof typeof TASKS]['url'];
  body: Record<string, unknown>;
}

/** A template ready for events. */
export interface CompiledTemplate {
  readonly url: Item['url'];
  /**
   * The item an event becomes, or `null` if the filter keeps it out.
   * @throws RequestError 422 if an expression fails on this event, or the body it gives is not one of the task.
   */
  itemOf(event: VerifiedEvent, files?: readonly EventFile[]): Promise<Item | null>;
}

/** A file that came with an event, stored as a file of the tenant. */
export interface EventFile {
  field: string;
  filename: string;
  file_id: string;
  bytes: number;
  /** As the sender says. */
  content_type: string | null;
}

export function objectOfFile({ filename, bytes, content_type: contentType }: EventFile): EventObject {
  return { bucket: '', key: filename, size: bytes, etag: null, contentType, arrived: true };
}

const Body = z.record(z.string(), z.unknown());
/** Longest body of an item, in characters of JSON. */
const MOST_BODY = 2 ** 20;

/**
 * Compiles a template. With `sample` it is tried on an event at once, so that a mistake is told to who made it and not
 * found in the log a week later.
 * @throws RequestError 400 that names the expression or the property that is wrong.
 */
export async function compileTemplate(
  tenant: string,
  template: TriggerTemplate,
  sample?: VerifiedEvent,
  files: readonly EventFile[] = [],
): Promise<CompiledTemplate> {
  const { url, body: schema } = TASKS[template.task];
  const { filter } = template;
  const text = JSON.stringify({ body: template.body, when: filter.when ?? null });
  const compiled: CompiledTemplate = {
    url,
    async itemOf(event, files = []) {
      if (!passes(filter, event)) return null;
      const { key, type, object, data } = event;
      try {
        const input = { key, type, object, data, files };
        const filled = await sandbox.fill(tenant, { template: text, input, most: MOST_BODY });
        if (filled === null) return null;
        const body = schema.safeParse(filled);
        if (body.success) return { url, body: Body.parse(body.data) };
        throw new ExpressionError(
          `template.body is none of the task '${template.task}': ${invalid(body.error, filled).message}`,
        );
      } catch (error) {
        throw asRequestError(error, 422);
      }
    },
  };
  try {
    await sandbox.fill(tenant, { template: text, input: null, most: MOST_BODY });
  } catch (error) {
    throw asRequestError(error, 400);
  }
  if (sample !== undefined) {
    try {
      await compiled.itemOf(sample, files);
    } catch (error) {
      throw error instanceof RequestError
        ? new RequestError(400, `${error.message} (tried on the sample event)`, {
            code: 'invalid_template',
            param: 'template',
          })
        : error;
    }
  }
  return compiled;
}

function passes(filter: TriggerTemplate['filter'], { type, object }: VerifiedEvent): boolean {
  // An object that is gone, or only got a tag, makes no item unless it is asked for.
  if (filter.type === undefined ? object?.arrived === false : !matches(filter.type, type)) return false;
  const { prefix, suffix, min_bytes: least, max_bytes: most, content_type: contentType } = filter;
  if (prefix !== undefined && !object?.key.startsWith(prefix)) return false;
  if (suffix !== undefined && !object?.key.toLowerCase().endsWith(suffix.toLowerCase())) return false;
  // A sender that does not say a size cannot be held to it.
  const size = object?.size ?? null;
  if (size !== null && ((least !== undefined && size < least) || (most !== undefined && size > most))) return false;
  if (contentType === undefined) return true;
  const told = object?.contentType ?? null;
  // What stores say of an object whose type they do not know.
  const given = told === null || /octet-stream$/.test(told) ? typeOfName(object?.key ?? '') : told;
  return given !== null && matches(contentType.toLowerCase(), given.split(';')[0]?.trim().toLowerCase() ?? '');
}

const matches = (pattern: string, text: string) =>
  pattern.endsWith('*') ? text.startsWith(pattern.slice(0, -1)) : text === pattern;

function asRequestError(error: unknown, status: number): unknown {
  if (!(error instanceof ExpressionError)) return error;
  return new RequestError(status, error.message, { code: 'invalid_template', param: 'template' });
}
