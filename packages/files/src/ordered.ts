/**
 * Applies `fn` to up to `width` items at a time and yields the results in the order of the source. Stops reading the
 * source when the consumer stops.
 */
export async function* inOrder<T, R>(
  source: AsyncIterable<T>,
  width: number,
  fn: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const running: Promise<R>[] = [];
  try {
    for await (const item of source) {
      const result = fn(item);
      // The error surfaces where the result is awaited; without this an early stop would leave it unhandled.
      result.catch(() => {});
      running.push(result);
      if (running.length >= width) {
        const first = running.shift();
        if (first !== undefined) yield await first;
      }
    }
    for (const result of running) yield await result;
  } finally {
    await Promise.allSettled(running);
  }
}
