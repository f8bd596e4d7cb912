import { collectDefaultMetrics, Registry } from 'prom-client';

/** What this process has measured. One for the process, as in every program that Prometheus scrapes. */
export const registry = new Registry();
collectDefaultMetrics({ register: registry });

/** The content type of `metricsText()`. */
export const METRICS_TYPE = registry.contentType;

const readings = new Set<() => void | Promise<void>>();

/**
 * Calls `read` before each scrape, to set gauges of what is read rather than counted. A reading that fails is left out, and
 * the rest is shown all the same. Gives a function that ends it.
 */
export function readAtScrape(read: () => void | Promise<void>): () => void {
  readings.add(read);
  return () => readings.delete(read);
}

/** Everything that was measured, in Prometheus' text format. */
export async function metricsText(): Promise<string> {
  await Promise.allSettled([...readings].map(async (read) => read()));
  return registry.metrics();
}
