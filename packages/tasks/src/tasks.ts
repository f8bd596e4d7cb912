import { type ChatTaskOptions, createChatTask } from './chat/chat-task.ts';
import type { Task } from './port.ts';

/** Settings of all tasks: what may be fetched and how large it may be. */
export type TaskOptions = ChatTaskOptions;

/** Every task there is, by the endpoint its lines name. */
export function createTasks(options: TaskOptions = {}): ReadonlyMap<string, Task> {
  return new Map([createChatTask(options)].map((task) => [task.endpoint, task]));
}
