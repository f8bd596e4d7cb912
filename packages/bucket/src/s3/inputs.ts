// `@batchmill/bucket/s3-inputs`: objects of buckets that are not ours. An entry of its own, since the AWS SDK comes with it.
export { openS3Input, type S3Input, sizeOfS3Input } from './input.ts';
export { listS3Inputs, type S3InputInfo } from './input-list.ts';
