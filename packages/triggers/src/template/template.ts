import { ChatRequest, OcrRequest, RequestError, TranscriptionRequest, type TriggerTemplate } from '@batchmill/contract';
import { z } from 'zod';
import type { VerifiedEvent } from '../sources/port.ts';
import { compile, compileExpression, ExpressionError } from './expression.ts';

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
}

/**
 * Compiles a template. With `sample` it is tried on an event at once, so that a mistake is told to who made it and not
 * found in the log a week later.
 * @throws RequestError 400 that names the expression or the property that is wrong.
 */
export async function compileTemplate(template: TriggerTemplate, sample?: VerifiedEvent): Promise<CompiledTemplate> {
  const { url, body: schema } = TASKS[template.task];
  const { filter } = template;
  const parsed = (() => {
    try {
      return {
        body: compile(template.body, 'template.body'),
        when: filter.when === undefined ? null : compileExpression(filter.when, 'template.filter.when'),
      };
    } catch (error) {
      throw asRequestError(error, 400);
    }
  })();
  const compiled: CompiledTemplate = {
    url,
    async itemOf(event, files = []) {
      if (!passes(filter, event)) return null;
      const input = { key: event.key, type: event.type, object: event.object, data: event.data, files };
      try {
        if (parsed.when !== null && (await parsed.when.of(input)) !== true) return null;
        const body = schema.safeParse(await parsed.body.of(input));
        if (body.success) return { url, body: z.record(z.string(), z.unknown()).parse(body.data) };
        const [issue] = body.error.issues;
        throw new ExpressionError(
          `template.body.${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is wrong'} for the task '${template.task}'`,
        );
      } catch (error) {
        throw asRequestError(error, 422);
      }
    },
  };
  if (sample !== undefined) {
    try {
      await compiled.itemOf(sample);
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
  if (filter.type !== undefined && !matches(filter.type, type)) return false;
  const { prefix, suffix, min_bytes: least, max_bytes: most, content_type: contentType } = filter;
  if (prefix !== undefined && !object?.key.startsWith(prefix)) return false;
  if (suffix !== undefined && !object?.key.toLowerCase().endsWith(suffix.toLowerCase())) return false;
  // A sender that does not say a size, or a type, cannot be held to it.
  const size = object?.size ?? null;
  if (size !== null && ((least !== undefined && size < least) || (most !== undefined && size > most))) return false;
  const given = object?.contentType ?? null;
  return contentType === undefined || given === null || matches(contentType, given.toLowerCase());
}

const matches = (pattern: string, text: string) =>
  pattern.endsWith('*') ? text.startsWith(pattern.slice(0, -1)) : text === pattern;

function asRequestError(error: unknown, status: number): unknown {
  if (!(error instanceof ExpressionError)) return error;
  return new RequestError(status, error.message, { code: 'invalid_template', param: 'template' });
}
