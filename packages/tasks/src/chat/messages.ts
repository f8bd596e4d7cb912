import { type ChatMessage, type ContentPart, RequestError } from '@batchmill/contract';
import type { Message, MessagePart, ToolCall } from '@batchmill/engine';
import { createLimit, type Limit, mediaKind, prepareAudio, prepareImage } from '@batchmill/media';
import type { TaskContext } from '../port.ts';
import { wrong } from '../refusals.ts';
import { readSource, readUploaded, type SourceContext, type SourceOptions } from '../source/read-source.ts';

export interface MediaOptions extends SourceOptions {
  /** Most tokens one picture may cost. */
  imageTokens: number;
  /** Most pixels of a picture as it comes. */
  maxPixels: number;
  /** Longest recording, in seconds. */
  audioSeconds: number;
  /** Most pictures and recordings in one request. */
  maxParts: number;
}

/** Parts of one request that are fetched and prepared side by side: enough to hide a slow source, not to fill memory. */
const AT_ONCE = 4;

/** Tokens of a picture asked for with `detail: low`. */
const LOW_DETAIL_TOKENS = 140;

/**
 * Messages as the engine takes them: media fetched and prepared, `developer` as `system`, tool answers with the name of
 * the function they answer.
 * @throws RequestError that names the part it is about.
 */
export async function engineMessages(
  messages: readonly ChatMessage[],
  context: TaskContext,
  options: MediaOptions,
): Promise<Message[]> {
  const media = messages.flatMap((m) => (Array.isArray(m.content) ? m.content.filter((p) => p.type !== 'text') : []));
  if (media.length > options.maxParts)
    throw wrong('messages', `there are ${media.length} pictures and recordings; at most ${options.maxParts} are taken`);
  const calls = new Map<string, string>();
  // The first part that fails ends the work on all others.
  const stop = new AbortController();
  const onAbort = () => stop.abort(context.signal.reason);
  context.signal.throwIfAborted();
  context.signal.addEventListener('abort', onAbort, { once: true });
  const task: MediaContext = {
    models: context.models,
    image: context.image,
    audio: context.audio,
    openFile: (id) => context.openFile(id),
    openObject: (url) => context.openObject(url),
    signal: stop.signal,
  };
  const inner: PartContext = { task, options, limit: createLimit(AT_ONCE) };
  try {
    return await Promise.all(
      messages.map(async (message, i) => {
        const path = `messages.${i}`;
        const known = toolFields(message, path, calls);
        return { ...known, content: await engineParts(message.content, `${path}.content`, inner) };
      }),
    );
  } catch (error) {
    stop.abort(error);
    throw error;
  } finally {
    context.signal.removeEventListener('abort', onAbort);
  }
}

/** Everything of a message but its content. Remembers the calls, for the tool messages that answer them. */
function toolFields(message: ChatMessage, path: string, calls: Map<string, string>): Omit<Message, 'content'> {
  switch (message.role) {
    case 'system':
    case 'developer':
      return { role: 'system' };
    case 'user':
      return { role: 'user' };
    case 'assistant': {
      if (message.tool_calls === undefined || message.tool_calls.length === 0) return { role: 'assistant' };
      const toolCalls = message.tool_calls.map((call, j): ToolCall => {
        calls.set(call.id, call.function.name);
        checkArguments(call.function.arguments, `${path}.tool_calls.${j}.function.arguments`);
        return { id: call.id, name: call.function.name, arguments: call.function.arguments };
      });
      return { role: 'assistant', toolCalls };
    }
    case 'tool': {
      const toolName = calls.get(message.tool_call_id);
      if (toolName === undefined)
        throw wrong(`${path}.tool_call_id`, `no earlier message calls a tool with the id '${message.tool_call_id}'`);
      return { role: 'tool', toolCallId: message.tool_call_id, toolName };
    }
  }
}

function checkArguments(text: string, path: string): void {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return;
  } catch {
    // Said below.
  }
  throw wrong(path, 'it must be the JSON text of an object');
}

/** What the preparation of one request's media asks of its surroundings. */
type MediaContext = SourceContext & Pick<TaskContext, 'models' | 'image' | 'audio'>;

interface PartContext {
  task: MediaContext;
  options: MediaOptions;
  limit: Limit;
}

function engineParts(content: ChatMessage['content'], path: string, context: PartContext): Promise<MessagePart[]> {
  if (content === null || content === undefined) return Promise.resolve([]);
  if (typeof content === 'string') return Promise.resolve([{ type: 'text', text: content }]);
  return Promise.all(content.map((part, j) => enginePart(part, `${path}.${j}`, context)));
}

async function enginePart(part: ContentPart, path: string, context: PartContext): Promise<MessagePart> {
  if (part.type === 'text') return part;
  const { task, options, limit } = context;
  const param = `${path}.${PARAMS[part.type]}`;
  // Before anything is fetched for nothing.
  if (part.type !== 'file') checkModality(part.type === 'image_url' ? 'image' : 'audio', task, param);
  return limit(async () => {
    task.signal.throwIfAborted();
    try {
      switch (part.type) {
        case 'image_url': {
          const bytes = await readSource(part.image_url.url, task, options);
          const most = part.image_url.detail === 'low' ? LOW_DETAIL_TOKENS : options.imageTokens;
          return await image(bytes, options, Math.min(most, options.imageTokens));
        }
        case 'input_audio':
          return await audio(await readSource(part.input_audio.data, task, options, true), task, options);
        case 'file':
          return await file(await readUploaded(part.file.file_id, task, options.maxBytes), task, options, param);
      }
    } catch (error) {
      throw error instanceof RequestError && error.param === null ? placed(error, param) : error;
    }
  });
}

const PARAMS = { image_url: 'image_url.url', input_audio: 'input_audio.data', file: 'file.file_id' } as const;

async function image(bytes: Uint8Array, options: MediaOptions, maxTokens: number): Promise<MessagePart> {
  const { data } = await prepareImage(bytes, { maxTokens, maxPixels: options.maxPixels });
  return { type: 'image', data };
}

async function audio(bytes: Uint8Array, task: MediaContext, options: MediaOptions): Promise<MessagePart> {
  const { data } = await prepareAudio(bytes, { maxSeconds: options.audioSeconds, signal: task.signal });
  return { type: 'audio', data };
}

async function file(bytes: Uint8Array, task: MediaContext, options: MediaOptions, param: string): Promise<MessagePart> {
  const { kind, type } = await mediaKind(bytes);
  if (kind === null)
    throw new RequestError(
      400,
      `The file is ${type ?? 'of an unknown kind'}; a message can hold pictures and recordings.`,
      {
        code: 'unsupported_file',
      },
    );
  checkModality(kind, task, param);
  return kind === 'image' ? image(bytes, options, options.imageTokens) : audio(bytes, task, options);
}

function checkModality(kind: 'image' | 'audio', task: MediaContext, param: string): void {
  if (task[kind]) return;
  throw new RequestError(
    400,
    `The model '${task.models[0] ?? 'default'}' takes no ${kind === 'image' ? 'pictures' : 'recordings'}.`,
    { code: 'unsupported_modality', param },
  );
}

/** The same error, with the part it is about. */
function placed(error: RequestError, param: string): RequestError {
  return new RequestError(error.status, `${param}: ${error.message}`, {
    ...(error.code === null ? {} : { code: error.code }),
    type: error.type,
    param,
    cause: error,
  });
}
