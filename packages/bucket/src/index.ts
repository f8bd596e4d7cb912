export * from './layout.ts';
export * from './open.ts';
export * from './port.ts';
export { openS3Input, type S3Input, sizeOfS3Input } from './s3/input.ts';
export { listS3Inputs, type S3InputInfo } from './s3/input-list.ts';
