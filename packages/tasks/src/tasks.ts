import { type ChatTaskOptions, createChatTask } from './chat/chat-task.ts';
import type { Task } from './port.ts';
import { createTranscriptionTask, type TranscriptionOptions } from './transcription/transcription-task.ts';

/** Settings of all tasks: what may be fetched and how large it may be. `fetch` is for all of them. */
export interface TaskOptions extends ChatTaskOptions {
  transcription?: TranscriptionOptions;
}

/** Every task there is, by the endpoint its lines name. */
export function createTasks({ transcription, ...options }: TaskOptions = {}): ReadonlyMap<string, Task> {
  const recordings: TranscriptionOptions = {
    ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
    ...transcription,
  };
  const tasks: Task[] = [
    createChatTask(options),
    createTranscriptionTask('/v1/audio/transcriptions', recordings),
    createTranscriptionTask('/v1/audio/translations', recordings),
  ];
  return new Map(tasks.map((task) => [task.endpoint, task]));
}
