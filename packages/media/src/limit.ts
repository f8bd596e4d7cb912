/** Runs what is given to it, at most `n` at a time, in the order given. */
export type Limit = <T>(work: () => Promise<T>) => Promise<T>;

export function createLimit(n: number): Limit {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (running >= n) await new Promise<void>((start) => waiting.push(start));
    else running++;
    try {
      return await work();
    } finally {
      // The place goes to the next in line without being given back, so nobody can slip in between.
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}
