export { type AudioOptions, type PreparedAudio, prepareAudio } from './audio/prepare-audio.ts';
export { type ChunkOptions, type RecordingInfo, type SpeechChunk, speechChunks } from './audio/speech-chunks.ts';
export { type DataUrl, isDataUrl, parseBase64, parseDataUrl } from './data-url.ts';
export { type Fetched, type FetchOptions, fetchUrl, type Saved, saveUrl } from './fetch/fetch-url.ts';
export { MAX_TOKENS, MIN_TOKENS, sizeWithin, TOKEN_SIDE } from './image/budget.ts';
export { type ImageOptions, type PreparedImage, prepareImage } from './image/prepare-image.ts';
export { createLimit, type Limit } from './limit.ts';
export { mediaKind } from './media-kind.ts';
