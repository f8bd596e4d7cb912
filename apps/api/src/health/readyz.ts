import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { json } from '../openapi.ts';

/** A check that takes longer has failed. */
const CHECK_MS = 5_000;

/** Answers are reused this long: anyone may ask, and a check writes to the bucket. */
const REUSE_MS = 1_000;

const Readiness = z
  .object({
    status: z.enum(['ready', 'not_ready']),
    checks: z.record(z.string(), z.string()).describe('`ok`, or what is wrong, for each thing the service needs'),
  })
  .openapi('Readiness');
type Readiness = z.infer<typeof Readiness>;

const route = createRoute({
  method: 'get',
  path: '/readyz',
  operationId: 'readyz',
  tags: ['Service'],
  summary: 'The service can work: bucket and queue answer',
  security: [],
  responses: { 200: json('Ready', Readiness), 503: json('Not ready, and why', Readiness) },
});

export function readyzRoute(api: Api, { checks }: Deps): void {
  let last: { at: number; answer: Promise<Readiness> } | undefined;
  api.openapi(route, async (c) => {
    if (last === undefined || performance.now() - last.at > REUSE_MS) {
      last = { at: performance.now(), answer: runChecks(checks) };
    }
    const readiness = await last.answer;
    return readiness.status === 'ready' ? c.json(readiness, 200) : c.json(readiness, 503);
  });
}

async function runChecks(checks: Deps['checks']): Promise<Readiness> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, await outcome(check)] as const),
  );
  const ready = results.every(([, result]) => result === 'ok');
  return { status: ready ? 'ready' : 'not_ready', checks: Object.fromEntries(results) };
}

async function outcome(check: () => Promise<void>): Promise<string> {
  const late = Promise.withResolvers<string>();
  const timer = setTimeout(() => late.resolve(`no answer within ${CHECK_MS / 1000} seconds`), CHECK_MS);
  try {
    return await Promise.race([check().then(() => 'ok'), late.promise]);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
  }
}
