import { move } from 'piscina';
import { type Converted, type ConvertJob, convert } from './convert.ts';

// The decoders write every damaged frame to the console. Nobody asked, and the process's error stream is its log.
console.error = () => {};

/** Entry of a worker thread. The result's memory moves to the caller instead of being copied. */
export default async function work(job: ConvertJob): Promise<Converted> {
  const result = await convert(job);
  if ('data' in result) {
    const { buffer } = result.data;
    if (buffer instanceof ArrayBuffer && buffer.byteLength === result.data.byteLength) move(buffer);
  }
  return result;
}
