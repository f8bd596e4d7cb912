import { streamHandle } from 'hono/aws-lambda';
import { app } from './app.ts';

/**
 * AWS Lambda behind a function URL whose invoke mode is RESPONSE_STREAM: answers flow while they are made.
 * https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
 */
export const handler = streamHandle(app);
