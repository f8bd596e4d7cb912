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
  /** Where the workers answer /healthz, /readyz and /metrics. */
  health: { control: string; infer: string };
  stop(): Promise<void>;
}

/** The product as a cluster runs it: API, control worker and infer worker as processes of their own. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const [port = 0, ofControl = 0, ofInfer = 0] = await freePorts(3);
  const env = {
    QUEUE_URL: options.queueUrl,
    BUCKET_URL: options.bucketUrl,
    PORT: String(port),
    PUBLIC_URL: `http://127.0.0.1:${port}`,
    // Other tests run beside this one: an engine with more threads than free cores is many times slower.
    THREADS: '1',
    ...options.env,
  };
  const worker = (roles: string, healthPort: number, entry = 'apps/worker/src/main.ts') =>
    ServiceProcess.start({
      entry,
      args: ['--roles', roles],
      env: { ...env, HEALTH_PORT: String(healthPort) },
      ready: (printed) => printed.includes('worker is up'),
    });
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
    const control = await start(worker('control', ofControl));
    const infer = await start(worker('infer', ofInfer, options.inferEntry));
    const at = (own: number) => `http://127.0.0.1:${own}`;
    return { url: at(port), api, control, infer, health: { control: at(ofControl), infer: at(ofInfer) }, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
