import { describe, expect, test } from 'vitest';
import { BucketUrlError, openBucket } from './open.ts';
import { parseS3Url } from './s3/location.ts';

const parse = (url: string, env: NodeJS.ProcessEnv = {}) => parseS3Url(new URL(url), env);

describe('openBucket', () => {
  test.each([
    ['', 'Not a bucket URL'],
    ['/var/bucket', 'Not a bucket URL'],
    ['http://host/bucket', 'Not a bucket URL'],
    ['file://bucket', 'three slashes'],
    ['file:///', 'root folder'],
    ['file:///a?b=c', 'no options'],
    ['file:///a%00b', 'Use file:///absolute/path'],
    ['file:///a%2Fb', 'Use file:///absolute/path'],
    ['s3://', 'not the name of a bucket'],
    ['s3:///prefix', 'not the name of a bucket'],
    ['s3://Bucket_Name/', 'not the name of a bucket'],
    ['s3://bucket:9000/', 'endpoint='],
    ['s3://bucket/a//b', 'prefix'],
    ['s3://bucket/a%20b', 'prefix'],
    ['s3://bucket/?regoin=x', 'there is no option "regoin"'],
    ['s3://bucket/?endpoint=localhost:9000', 'http or https'],
    ['s3://bucket/?endpoint=nonsense', 'http or https'],
    ['s3://bucket/?pathStyle=yes', 'true or false'],
  ])('says what is wrong with %j', async (url, message) => {
    const failure = await openBucket(url).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(BucketUrlError);
    expect(String(failure)).toContain(message);
  });

  test('never shows a secret', async () => {
    for (const url of [
      's3://AKIA:hunter2@bucket/',
      's3://bucket/?secretKey=hunter2',
      'gs://u:hunter2@x?token=hunter2',
    ]) {
      const failure = await openBucket(url).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(BucketUrlError);
      expect(String(failure)).not.toContain('hunter2');
    }
  });

  test('takes the URL before the environment, and path style for other servers than AWS', () => {
    expect(parse('s3://bucket')).toMatchObject({
      prefix: '',
      region: undefined,
      endpoint: undefined,
      pathStyle: false,
    });
    expect(parse('s3://bucket/a/b/')).toMatchObject({ bucket: 'bucket', prefix: 'a/b/' });
    expect(parse('s3://bucket', { AWS_REGION: 'eu-west-1' })).toMatchObject({ region: 'eu-west-1', pathStyle: false });
    expect(parse('s3://bucket', { BUCKET_ENDPOINT: 'http://s3:8333' })).toMatchObject({
      endpoint: 'http://s3:8333',
      region: 'us-east-1',
      pathStyle: true,
    });
    expect(parse('s3://bucket?endpoint=https://x', { BUCKET_ENDPOINT: 'http://y' }).endpoint).toBe('https://x');
    // The SDK reads this one by itself.
    expect(parse('s3://bucket', { AWS_ENDPOINT_URL: 'http://y' })).toMatchObject({
      endpoint: undefined,
      pathStyle: true,
    });
    expect(parse('s3://bucket?endpoint=https://x&pathStyle=false&region=r')).toMatchObject({
      pathStyle: false,
      region: 'r',
    });
  });
});
