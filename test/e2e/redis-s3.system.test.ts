import { startRedis } from '../servers/redis.ts';
import { startS3 } from '../servers/s3.ts';
import { startStack } from '../servers/stack.ts';
import { endToEnd } from './suite.ts';

endToEnd('Redis and an S3 server, three processes', async () => {
  const redis = await startRedis();
  const s3 = await startS3();
  const stack = await startStack({ queueUrl: redis.url, bucketUrl: s3.url, env: s3.env });
  return {
    url: stack.url,
    stop: async () => {
      await stack.stop();
      await redis.stop();
      await s3.stop();
    },
  };
});
