import { Autoscale } from '@batchmill/contract';
import type { Signals } from '@batchmill/scaling';
import { metrics } from '@batchmill/telemetry';
import { createRoute, z } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { operatorOnly } from '../http/operator.ts';
import { ANY_ERROR, ERROR, json } from '../openapi.ts';

const LANES = ['text', 'media', 'all'] as const;

/** `GET /v1/autoscale/{lane}`, for KEDA's metrics-api scaler and others. */
export function autoscaleRoute(api: Api, deps: Deps): void {
  const { scaling } = deps;
  const route = createRoute({
    method: 'get',
    path: '/v1/autoscale/{lane}',
    operationId: 'autoscale',
    tags: ['Service'],
    summary: 'The work that waits, and the workers it takes',
    description: "Needs an operator's key. `all` is both lanes, for workers that serve both.",
    middleware: operatorOnly(deps),
    request: { params: z.object({ lane: z.enum(LANES) }) },
    responses: { 200: json('The signal', Autoscale), ...ANY_ERROR, 400: ERROR[400] },
  });
  api.openapi(route, async (c) => {
    const { lane } = c.req.valid('param');
    return c.json(bodyOf(lane, await scaling.read()), 200);
  });
}

function bodyOf(lane: (typeof LANES)[number], { lanes, measured }: Signals): Autoscale {
  const signal = lanes[lane];
  return {
    object: 'autoscale',
    lane,
    workers_wanted: signal.workersWanted,
    workers: signal.workers,
    batches: signal.batches,
    items: signal.items,
    tokens: signal.tokens,
    pages: signal.pages,
    audio_seconds: signal.audioSeconds,
    work_seconds: signal.workSeconds,
    earliest_deadline: signal.earliestDeadline,
    measured,
  };
}

/** Shows the same as metrics. */
export function showSignals({ open, lanes }: Signals): void {
  metrics.batchesOpen.set(open);
  const now = Date.now() / 1000;
  for (const lane of LANES) {
    const signal = lanes[lane];
    metrics.workItems.set({ lane }, signal.items);
    metrics.workTokens.set({ lane }, signal.tokens);
    metrics.workPages.set({ lane }, signal.pages);
    metrics.workAudioSeconds.set({ lane }, signal.audioSeconds);
    metrics.workSeconds.set({ lane }, signal.workSeconds);
    metrics.workersWanted.set({ lane }, signal.workersWanted);
    if (signal.workers !== null) metrics.workers.set({ lane }, signal.workers);
    // Without work there is no deadline, and a number would be taken for one.
    if (signal.earliestDeadline === null) metrics.workDeadline.remove({ lane });
    else metrics.workDeadline.set({ lane }, signal.earliestDeadline - now);
  }
}
