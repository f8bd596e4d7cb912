import { hash } from 'node:crypto';

/** The id of a line, made from batch and position: the same however often the line is made. */
export function lineId(batchId: string, position: number): string {
  return `batch_req_${hash('sha256', `${batchId}:${position}`).slice(0, 32)}`;
}
