import { METRICS_TYPE, metricsText } from '@batchmill/telemetry';
import type { Api, Deps } from '../deps.ts';
import { operatorOnly } from '../http/operator.ts';
import { showSignals } from './autoscale.ts';

/** `GET /metrics` for Prometheus: what this process has measured, and the work that waits. */
export function metricsRoute(api: Api, deps: Deps): void {
  const { scaling, logger } = deps;
  api.get('/metrics', operatorOnly(deps), async (c) => {
    // With the bucket away the rest is worth seeing all the more.
    await scaling
      .read()
      .then(showSignals, (err: unknown) => logger.warn({ err }, 'the work that waits cannot be read'));
    return c.body(await metricsText(), 200, { 'content-type': METRICS_TYPE });
  });
}
