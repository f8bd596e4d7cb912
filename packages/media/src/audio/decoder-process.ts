import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { RequestError } from '@batchmill/contract';
import { encodeMessage, type Head, type Job, jobSchema } from './recording-messages.ts';

/*
 * Entry of a decoder process: FFmpeg's decoders are native code that reads what strangers wrote, so a crash must end
 * nothing but this. Jobs come in on standard input, one after the other; messages go out on standard output. Both are
 * pipes: whoever does not read on stops the decoding, and the end of standard input ends the process.
 */

/** Time between two signs of life. */
const WORKING_MS = 5_000;

let said = performance.now();
function say(head: Head, data?: Uint8Array): void {
  // Written at once and whole, because decoding does not return to the event loop.
  for (const part of encodeMessage(head, data)) for (let at = 0; at < part.length; ) at += writeSync(1, part, at);
  said = performance.now();
}

try {
  const { record } = await import('./record.ts');
  for await (const line of createInterface({ input: process.stdin })) run(jobSchema.parse(JSON.parse(line)), record);
} catch (error) {
  say({ is: 'broken', message: error instanceof Error ? error.message : String(error) });
}
process.exit(0);

type Record = typeof import('./record.ts').record;

function run(job: Job, record: Record): void {
  try {
    for (const { head, data } of record(job))
      if (head.is !== 'working' || performance.now() - said > WORKING_MS) say(head, data);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    say({ is: 'refused', code: error.code, message: error.message });
  }
}
