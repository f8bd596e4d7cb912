export { type ControlOptions, startControl } from './control/control.ts';
export { type InferOptions, type InferWorker, startInfer } from './infer/infer.ts';
export { openSafety, type Safety } from './safety.ts';
export { ROLES, type Role, startWorker, type Worker, type WorkerOptions } from './worker.ts';
