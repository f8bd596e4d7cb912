export {
  contentUrl,
  createFile,
  deleteFile,
  type FileQuery,
  getFile,
  listFiles,
  readContent,
  readFile,
  removeFile,
} from './files.ts';
export { inOrder } from './ordered.ts';
export { partUrls } from './part-urls.ts';
export { type Retention, type RetentionByTenant, retentionOf, secondsOf } from './retention.ts';
export { type SignedFile, UrlSigner } from './signed-url.ts';
export { type FileDetails, lifetime, type StagedFile, type StageOptions, stageFile, tooLarge } from './stage.ts';
export { type Swept, sweepFiles } from './sweep.ts';
export { UPLOAD_LIMITS, type UploadLimits } from './upload.ts';
export { addPart, cancelUpload, completeUpload, createUpload } from './uploads.ts';
