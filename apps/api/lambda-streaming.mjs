// The same for function URLs that stream. Handler: lambda-streaming.handler
export { handler } from './src/lambda/streaming.ts';
