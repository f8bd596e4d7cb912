export * from './batch.ts';
export * from './chat.ts';
export * from './errors.ts';
export * from './file.ts';
export * from './ids.ts';
export * from './line.ts';
export * from './list.ts';
export * from './transcription.ts';
