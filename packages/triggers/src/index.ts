export { sweepWindows } from './gather/sweep.ts';
export { type ReadyTrigger, Receiver, type ReceiverOptions, type Upload } from './receive.ts';
export { notVerified, type RawEvent } from './sources/port.ts';
export { requireBearer } from './sources/secrets.ts';
export type { EventFile } from './template/template.ts';
export {
  createTrigger,
  deleteTrigger,
  getTrigger,
  listTriggers,
  rotateTriggerSecret,
  testTrigger,
  updateTrigger,
} from './triggers/triggers.ts';
