import { handle, type LambdaContext, type LambdaEvent } from 'hono/aws-lambda';
import { app } from './app.ts';

const TEXT = /^(?:text\/|application\/(?:json|xml|javascript|[^;]*\+json))/i;

/**
 * AWS Lambda behind an API gateway (REST or HTTP API), a load balancer, or a function URL that does not stream. Events as AWS documents
 * them: https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html
 */
export const handler: (event: LambdaEvent, context?: LambdaContext) => Promise<unknown> = handle(app, {
  // Everything that is not text by its type: a file's content must come back byte for byte.
  isContentTypeBinary: (type) => !TEXT.test(type),
});
