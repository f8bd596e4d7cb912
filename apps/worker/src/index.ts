export { ROLES, type Role, startWorker, type Worker, type WorkerOptions } from './worker.ts';
