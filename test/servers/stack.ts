import { freePorts } from './ports.ts';
import { ServiceProcess } from './service.ts';

export interface StackOptions {
  queueUrl: string;
  bucketUrl: string;
  /** Settings of all processes. */
  env?: Record<string, string>;
  /** Entry of the infer worker; default the product's own. */
  inferEntry?: string;
}

export interface Stack {
  url: string;
  api: ServiceProcess;
  control: ServiceProcess;
  infer: ServiceProcess;
  stop(): Promise<void>;
}

/** The product as a cluster runs it: API, control worker and infer worker as processes of their own. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const [port = 0] = await freePorts(1);
  const env = {
    QUEUE_URL: options.queueUrl,
    BUCKET_URL: options.bucketUrl,
    PORT: String(port),
    // Other tests run beside this one: an engine with more threads than free cores is many times slower.
    THREADS: '1',
    ...options.env,
  };
  const worker = (roles: string, up: string, entry = 'apps/worker/src/main.ts') =>
    ServiceProcess.start({ entry, args: ['--roles', roles], env, ready: (printed) => printed.includes(up) });
  const started: ServiceProcess[] = [];
  const start = async (service: Promise<ServiceProcess>) => {
    const process = await service;
    started.push(process);
    return process;
  };
  const stop = async () => {
    await Promise.all(started.map((service) => service.end()));
  };
  try {
    const api = await start(
      ServiceProcess.start({ entry: 'apps/api/src/main.ts', env, ready: (p) => p.includes('the API is up') }),
    );
    const control = await start(worker('control', 'worker is up'));
    const infer = await start(worker('infer', 'worker is up', options.inferEntry));
    return { url: `http://127.0.0.1:${port}`, api, control, infer, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
