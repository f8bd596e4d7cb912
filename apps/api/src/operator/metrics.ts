import { METRICS_TYPE, metricsText } from '@batchmill/telemetry';
import type { Api, Deps } from '../deps.ts';
import { operatorOnly } from '../http/operator.ts';

/** `GET /metrics` for Prometheus: what this process has measured. */
export function metricsRoute(api: Api, deps: Deps): void {
  api.get('/metrics', operatorOnly(deps), async (c) =>
    c.body(await metricsText(), 200, { 'content-type': METRICS_TYPE }),
  );
}
