export * from './layout.ts';
export * from './open.ts';
export * from './port.ts';
export { readS3Object } from './s3/input.ts';
