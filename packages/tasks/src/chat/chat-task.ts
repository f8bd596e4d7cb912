import type { FetchOptions } from '@batchmill/media';
import type { Task, TaskContext } from '../port.ts';
import { checkModel } from '../refusals.ts';
import { type ChatDraft, draft } from './draft.ts';
import { generateRequest } from './generate-request.ts';
import { engineMessages, type MediaOptions } from './messages.ts';
import { parseRequest } from './request.ts';

export interface ChatTaskOptions {
  /** Most tokens one picture may cost, 70 to 1,120. Default 280; the engine must be started for as many. */
  imageTokens?: number;
  /** Most pixels of a picture as it comes. Default 150 million. */
  maxPixels?: number;
  /** Longest recording in seconds. Default one hour: 90,000 tokens. */
  audioSeconds?: number;
  /** Largest picture or recording, in bytes. Default 100 MiB. */
  maxBytes?: number;
  /** Most pictures and recordings in one request. Default 128. */
  maxParts?: number;
  /** How URLs are fetched. `timeoutMs` is 60 s by default. */
  fetch?: Partial<Omit<FetchOptions, 'maxBytes' | 'signal'>>;
}

export interface ChatTask extends Task {
  run(body: Record<string, unknown>, context: TaskContext): Promise<ChatDraft>;
}

/** `/v1/chat/completions`: text, pictures and recordings in; text, reasoning and tool calls out. */
export function createChatTask(options: ChatTaskOptions = {}): ChatTask {
  const media: MediaOptions = {
    imageTokens: options.imageTokens ?? 280,
    maxPixels: options.maxPixels ?? 150_000_000,
    audioSeconds: options.audioSeconds ?? 3_600,
    maxBytes: options.maxBytes ?? 100 * 2 ** 20,
    maxParts: options.maxParts ?? 128,
    fetch: { timeoutMs: 60_000, ...options.fetch },
  };
  return {
    endpoint: '/v1/chat/completions',
    inPieces: false,
    async run(body, context) {
      const request = parseRequest(body);
      checkModel(request.model, context.models);
      const messages = await engineMessages(request.messages, context, media);
      context.signal.throwIfAborted();
      const n = request.n ?? 1;
      const generations = await Promise.all(
        Array.from({ length: n }, (_, i) => context.generate(generateRequest(request, messages, i))),
      );
      return draft(generations, {
        model: context.models[0] ?? request.model,
        tools: new Set(request.tools?.map((tool) => tool.function.name)),
        oneCall: request.parallel_tool_calls === false,
      });
    },
  };
}
