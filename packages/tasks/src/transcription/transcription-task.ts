import { join } from 'node:path';
import { RequestError } from '@batchmill/contract';
import { type FetchOptions, speechChunks } from '@batchmill/media';
import type { Task, TaskContext } from '../port.ts';
import { about, checkModel, wrong } from '../refusals.ts';
import { saveSource } from '../source/save-source.ts';
import { hearRecording } from './hear-recording.ts';
import { parseTranscription, type Transcribing } from './request.ts';
import { type TranscriptDraft, transcript } from './transcript.ts';

export interface TranscriptionOptions {
  /** What the model is told to do with a chunk. The default is right for Gemma 4. */
  transcriptionPrompt?: string;
  translationPrompt?: string;
  /** Longest chunk. Default 28: Gemma 4 hears at most 30 at once. */
  chunkSeconds?: number;
  /** Silence that ends a chunk though more would fit. */
  chunkPauseSeconds?: number;
  /** Longest recording, in hours. Default 12. */
  maxHours?: number;
  /** Largest file, in bytes. Default 512 MiB. */
  maxBytes?: number;
  /** How URLs are fetched. `timeoutMs` is 15 minutes by default: recordings are large. */
  fetch?: Partial<Omit<FetchOptions, 'maxBytes' | 'signal'>>;
}

export type TranscriptionEndpoint = '/v1/audio/transcriptions' | '/v1/audio/translations';

export interface TranscriptionTask extends Task {
  run(body: Record<string, unknown>, context: TaskContext): Promise<TranscriptDraft>;
}

/** As Gemma's model card has it. */
const TRANSCRIPTION_PROMPT = `Transcribe the following speech segment in its original language. Follow these specific instructions for formatting the answer:
* Only output the transcription, with no newlines.
* When transcribing numbers, write the digits, i.e. write 1.7 and not one point seven, and write 3 instead of three.`;

const TRANSLATION_PROMPT = `Translate the following speech segment into English. Follow these specific instructions for formatting the answer:
* Only output the English translation, with no newlines.
* When translating numbers, write the digits, i.e. write 1.7 and not one point seven, and write 3 instead of three.`;

/**
 * `/v1/audio/transcriptions`: a recording or a film of any length in, its text out; `/v1/audio/translations`: its text in
 * English. The recording is cut in silence, and each chunk is one engine call.
 */
export function createTranscriptionTask(
  endpoint: TranscriptionEndpoint,
  options: TranscriptionOptions = {},
): TranscriptionTask {
  const task = endpoint === '/v1/audio/translations' ? 'translate' : 'transcribe';
  const instruction =
    task === 'translate'
      ? (options.translationPrompt ?? TRANSLATION_PROMPT)
      : (options.transcriptionPrompt ?? TRANSCRIPTION_PROMPT);
  const maxChunkSeconds = options.chunkSeconds ?? 28;
  const maxSeconds = (options.maxHours ?? 12) * 3_600;
  const source = {
    maxBytes: options.maxBytes ?? 512 * 2 ** 20,
    fetch: { timeoutMs: 900_000, ...options.fetch },
  };
  return {
    endpoint,
    inPieces: true,
    async run(body, context) {
      const request = parseTranscription(body);
      checkModel(request.model, context.models);
      // Before anything is fetched for nothing.
      if (!context.audio)
        throw new RequestError(400, `The model '${context.models[0] ?? request.model}' takes no recordings.`, {
          code: 'unsupported_modality',
          param: request.param,
        });
      context.signal.throwIfAborted();
      const file = join(await context.folder(), 'recording');
      try {
        await saveSource(request.source, file, context, source);
        const chunks = speechChunks(file, {
          maxChunkSeconds,
          ...(options.chunkPauseSeconds === undefined ? {} : { pauseSeconds: options.chunkPauseSeconds }),
          channels: request.labels === null ? 'mix' : 'split',
          maxSeconds,
          onBegin: ({ seconds, channels }) => {
            if (request.labels !== null && channels < 2)
              throw wrong('channel_labels', 'the recording has one channel; labels need two');
            if (seconds !== null) context.length(Math.min(seconds, maxSeconds));
          },
          signal: context.signal,
        });
        const { heard, info } = await hearRecording(chunks, context, {
          instruction: withHints(instruction, request),
          temperature: request.temperature,
          maxTokens: request.maxTokens,
          logprobs: request.format === 'verbose_json',
        });
        context.length(info.seconds);
        return transcript(heard, info, { ...request, task });
      } catch (error) {
        context.signal.throwIfAborted();
        throw about(request.param, error);
      }
    },
  };
}

function withHints(instruction: string, { language, prompt }: Transcribing): string {
  return [
    instruction,
    ...(language === null ? [] : [`The speech is in ${language}.`]),
    ...(prompt === null ? [] : [`Context, for names and spelling only, not to be repeated: ${prompt}`]),
  ].join('\n');
}
