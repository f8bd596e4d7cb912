/** What the tests of the chat task share: an item's surroundings, with an engine that echoes. */
import { newId, RequestError } from '@batchmill/contract';
import type { GenerateRequest, Generation } from '@batchmill/engine';
import sharp from 'sharp';
import { expect } from 'vitest';
import type { Source, TaskContext } from '../port.ts';
import { judgeContext, judges } from '../test-judge.ts';
import { type ChatTaskOptions, createChatTask } from './chat-task.ts';

/** What the task asks of an engine, kept; it answers with the text of the last message, or with what a test sets. */
export const asked: GenerateRequest[] = [];
const lastText = (request: GenerateRequest) =>
  request.messages
    .at(-1)
    ?.content.map((p) => (p.type === 'text' ? p.text : `<${p.type}>`))
    .join('') ?? '';
export const echo = async (request: GenerateRequest): Promise<Generation> => {
  asked.push(request);
  const text = lastText(request);
  return {
    text,
    reasoning: request.thinking ? `thinking of ${text}` : null,
    toolCalls: [],
    finishReason: 'stop',
    usage: {
      promptTokens: 10,
      cachedTokens: 4,
      completionTokens: text.length,
      reasoningTokens: request.thinking ? 3 : 0,
    },
    logprobs:
      request.logprobs === undefined
        ? null
        : [
            {
              token: text,
              logprob: -0.5,
              bytes: [...Buffer.from(text)],
              top: [{ token: text, logprob: -0.5, bytes: [] }],
            },
          ],
  };
};

export const picture = await sharp({ create: { width: 640, height: 480, channels: 3, background: '#f00' } })
  .jpeg()
  .toBuffer();
export const recording = Buffer.concat([
  Buffer.from('524946465425000057415645666d74201000000001000100401f0000803e0000020010006461746180250000', 'hex'),
  Buffer.alloc(9_600, 7),
]);
export const files = new Map<string, Uint8Array>();
export const upload = (bytes: Uint8Array) => {
  const id = newId('file-');
  files.set(id, bytes);
  return id;
};

export const sourceOf = (bytes: Uint8Array): Source => ({
  bytes: bytes.length,
  read: async () =>
    (async function* () {
      yield bytes;
    })(),
});

const context = (changes: Partial<TaskContext> = {}): TaskContext => ({
  tenant: 'default',
  models: ['gemma', 'alias'],
  image: true,
  audio: true,
  generate: echo,
  openFile: async (id) => {
    const bytes = files.get(id);
    return bytes === undefined ? null : sourceOf(bytes);
  },
  length: () => {},
  openObject: async (url) => {
    if (url === 's3://scans/1.jpg') return sourceOf(picture);
    throw new RequestError(400, 'outside', { code: 'url_not_allowed' });
  },
  folder: () => Promise.reject(new Error('a chat item needs no folder')),
  piece: () => Promise.reject(new Error('a chat item has no pieces')),
  moderate: () => Promise.reject(new Error('a chat item moderates nothing')),
  untimed: (work) => work(),
  pieces: 1,
  signal: new AbortController().signal,
  ...changes,
});

export async function run(
  body: Record<string, unknown>,
  changes: Partial<TaskContext> = {},
  filter: keyof typeof judges = 'none',
  options: ChatTaskOptions = {},
) {
  asked.length = 0;
  const scope = context(changes);
  const draft = await createChatTask(options).run(body, scope);
  const judged = await judges[filter].judge(draft.segments, judgeContext(scope.signal));
  return { draft, answer: draft.finish(judged) };
}
export const user = (content: unknown, more: Record<string, unknown> = {}) => ({
  model: 'gemma',
  messages: [{ role: 'user', content }],
  ...more,
});
export const image = (url: string, detail?: string) => ({
  type: 'image_url',
  image_url: { url, ...(detail && { detail }) },
});
export const sound = (data: string) => ({ type: 'input_audio', input_audio: { data } });
export const dataUrl = (bytes: Uint8Array, type = 'image/jpeg') =>
  `data:${type};base64,${Buffer.from(bytes).toString('base64')}`;
export const error = (status: number, code: string, param?: string, message = /./) =>
  expect.objectContaining({
    name: 'RequestError',
    status,
    code,
    ...(param === undefined ? {} : { param }),
    message: expect.stringMatching(message),
  });
export const media = () => asked[0]?.messages.at(-1)?.content.filter((p) => p.type !== 'text') ?? [];
