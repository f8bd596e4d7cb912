/**
 * A source as the body of a response, read only as fast as the client takes it. The source is closed also when the client
 * hangs up before the first byte. `onError` hears why it broke off: by then the status is sent, and the client only sees
 * the body end early.
 */
export function toStream(source: AsyncIterable<Uint8Array>, onError: (error: unknown) => void) {
  const iterator = source[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        try {
          const { done, value } = await iterator.next();
          if (done === true) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          onError(error);
          controller.error(error);
        }
      },
      cancel: async () => {
        await iterator.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
