export { redeliver, sendTest } from './again.ts';
export { type DeliverDeps, deliverLane, GIVEN_UP, SCHEDULE } from './deliver.ts';
export { listDeliveries, viewDelivery } from './delivery.ts';
export type { EmitDeps } from './emit.ts';
export { listEndpoints, readEndpoint, viewEndpoint } from './endpoint.ts';
export {
  createBatchEndpoint,
  createEndpoint,
  deleteEndpoint,
  MAX_ENDPOINTS,
  rotateSecret,
  updateEndpoint,
} from './endpoints.ts';
export { tellEnded, tellRunning } from './listen.ts';
export { type OutputUrl, outputUrls } from './output-url.ts';
export { Places } from './places.ts';
export { createSender, type Sender } from './send.ts';
export { sweepHooks } from './sweep.ts';
