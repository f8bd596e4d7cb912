import { type ChatTaskOptions, createChatTask } from './chat/chat-task.ts';
import { createModerationTask } from './moderation/moderation-task.ts';
import { createOcrTask, type OcrOptions } from './ocr/ocr-task.ts';
import type { Task } from './port.ts';
import { createTranscriptionTask, type TranscriptionOptions } from './transcription/transcription-task.ts';

/** Settings of all tasks: what may be fetched and how large it may be. `fetch` is for all of them. */
export interface TaskOptions extends ChatTaskOptions {
  ocr?: OcrOptions;
  transcription?: TranscriptionOptions;
}

/** Every task there is, by the endpoint its lines name. */
export function createTasks({ ocr, transcription, ...options }: TaskOptions = {}): ReadonlyMap<string, Task> {
  const fetch = options.fetch === undefined ? {} : { fetch: options.fetch };
  const recordings: TranscriptionOptions = { ...fetch, ...transcription };
  const tasks: Task[] = [
    createChatTask(options),
    createOcrTask({ ...fetch, ...ocr }),
    createTranscriptionTask('/v1/audio/transcriptions', recordings),
    createTranscriptionTask('/v1/audio/translations', recordings),
    createModerationTask(),
  ];
  return new Map(tasks.map((task) => [task.endpoint, task]));
}
