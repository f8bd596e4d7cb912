import { inputFile } from '@batchmill/batch';
import { BatchEstimate, EstimateCreate } from '@batchmill/contract';
import { readFile } from '@batchmill/files';
import { contentsOf, timesOf } from '@batchmill/scaling';
import { createRoute } from '@hono/zod-openapi';
import type { Api, Deps } from '../deps.ts';
import { noFile } from '../files/errors.ts';
import { jsonLimit } from '../http/json-limit.ts';
import { ANY_ERROR, BODY_ERROR, json, jsonBody } from '../openapi.ts';

export function estimateBatchRoute(api: Api, { bucket, batch, limits, scaling }: Deps): void {
  const route = createRoute({
    method: 'post',
    path: '/v1/batches/estimate',
    operationId: 'estimateBatch',
    tags: ['Batches'],
    summary: 'What a batch of an uploaded file would take',
    description:
      'Reads the file as the planner would, and runs nothing. The times come from the speed that workers measured at such work; ' +
      'how long documents and recordings are that are not in the file shows only when they are opened.',
    middleware: jsonLimit(limits.jsonBytes),
    request: { body: jsonBody(EstimateCreate) },
    responses: {
      200: json('The estimate', BatchEstimate),
      ...ANY_ERROR,
      ...BODY_ERROR,
    },
  });
  api.openapi(route, async (c) => {
    const { input_file_id, endpoint } = c.req.valid('json');
    const tenant = c.get('tenant');
    const file = await inputFile(batch, tenant, input_file_id);
    const source = await readFile(bucket, tenant, file.id);
    // Deleted at this moment: asked again, it is not there.
    if (source === null) throw noFile(input_file_id);
    const [contents, signals] = await Promise.all([contentsOf(source, endpoint), scaling.read()]);
    const { workers, workSeconds: waitingSeconds } = signals.lanes.all;
    const times = timesOf(contents, endpoint, signals.speeds, { workers, waitingSeconds }, scaling.scaling);
    const estimate: BatchEstimate = {
      object: 'batch.estimate',
      input_file_id,
      endpoint,
      items: contents.items,
      wrong_lines: contents.wrongLines,
      tokens: contents.tokens,
      pages: contents.pages,
      audio_minutes: Math.round(contents.audioSeconds / 6) / 10,
      measured: times.measured,
      now: { workers, seconds: Math.ceil(times.nowSeconds) },
      full: { workers: times.fullWorkers, seconds: Math.ceil(times.fullSeconds) },
      waiting_seconds: Math.ceil(waitingSeconds / Math.max(1, workers ?? 1)),
    };
    return c.json(estimate, 200);
  });
}
