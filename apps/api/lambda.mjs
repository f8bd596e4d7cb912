// Lambda's runtime looks for .js and .mjs only; Node runs the TypeScript behind it as it is. Handler: lambda.handler
export { handler } from './src/lambda/handler.ts';
