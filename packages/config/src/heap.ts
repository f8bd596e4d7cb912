import { setFlagsFromString } from 'node:v8';

/**
 * Makes this process look for garbage when its heap is 1.6 times what was alive the last time. On a large machine V8 waits for four
 * times, which made 470 MB of a worker that needs 270, and gained nothing (`npm run bench -- million`). No limit: what is
 * alive may be as large as ever.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--heap-growing-percent=60');
}
