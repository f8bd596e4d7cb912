export { type ChatTaskOptions, createChatTask } from './chat/chat-task.ts';
export * from './port.ts';
export { createTasks, type TaskOptions } from './tasks.ts';
export { createTranscriptionTask, type TranscriptionOptions } from './transcription/transcription-task.ts';
