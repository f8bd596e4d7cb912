export { endInOrder, failedStart } from './life.ts';
export { createLogger, type Logger } from './logger.ts';
export { metrics, seconds, timed } from './metrics.ts';
export { METRICS_TYPE, metricsText, readAtScrape } from './registry.ts';
export { type Attributes, annotate, innerSpan, serverSpan, span, startTraces, tracing, untraced } from './traces.ts';
