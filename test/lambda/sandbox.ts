import { Writable } from 'node:stream';

/**
 * One sandbox of AWS Lambda, as a process of its own: loads a handler as Lambda's runtime does, takes events from its parent and
 * answers each. `streamifyResponse` does what the runtime's does: metadata first, as `HttpResponseStream` writes them, then the body.
 *
 *     node test/lambda/sandbox.ts apps/api/lambda.mjs
 */
interface Metadata {
  statusCode: number;
  headers: Record<string, string>;
}

class ResponseStream extends Writable {
  metadata: Metadata | null = null;
  readonly chunks: Buffer[] = [];
  override _write(chunk: Buffer | string, _encoding: BufferEncoding, done: () => void): void {
    this.chunks.push(Buffer.from(chunk));
    done();
  }
}

type Streamed = (event: unknown, stream: ResponseStream, context: unknown) => Promise<void>;

Object.assign(globalThis, {
  awslambda: {
    streamifyResponse: (handler: Streamed) => async (event: unknown, context: unknown) => {
      const stream = new ResponseStream();
      await handler(event, stream, context);
      return { ...stream.metadata, body: Buffer.concat(stream.chunks).toString('base64'), isBase64Encoded: true };
    },
    HttpResponseStream: {
      from: (stream: ResponseStream, metadata: Metadata) => Object.assign(stream, { metadata }),
    },
  },
});

const began = performance.now();
const { handler } = (await import(new URL(`../../${process.argv[2] ?? ''}`, import.meta.url).href)) as {
  handler: (event: unknown, context: unknown) => Promise<unknown>;
};
process.on('message', async ({ id, event }: { id: number; event: unknown }) => {
  const context = { awsRequestId: `request-${id}`, functionName: 'batchmill', callbackWaitsForEmptyEventLoop: false };
  try {
    const result = await handler(event, context);
    process.send?.({ id, result, sinceStartMs: process.uptime() * 1000 });
  } catch (error) {
    process.send?.({ id, error: String(error), sinceStartMs: process.uptime() * 1000 });
  }
});
process.on('disconnect', () => process.exit(0));
process.send?.({ ready: true, importMs: performance.now() - began });
