import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';

/** Spans that wait to be sent, at most; further ones are dropped, so that a collector that is away costs no memory. */
const MOST_WAITING = 8_192;

/**
 * Exports spans by OTLP over HTTP (JSON). Loaded only where traces are on: see `startTraces`. Where the collector is, and with
 * which headers it is spoken to, the exporter reads from the environment by itself.
 */
export function startExporting(service: string): () => Promise<void> {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': process.env.OTEL_SERVICE_NAME || `batchmill-${service}`,
      'service.namespace': 'batchmill',
      'process.pid': process.pid,
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share(process.env.OTEL_TRACES_SAMPLER_ARG)) }),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter(), maxQueueSize: MOST_WAITING })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(provider);
  return async () => {
    // A collector that is away must not hold up the end of the process, and is no reason for it to fail.
    await provider.shutdown().catch(() => {});
    trace.disable();
    context.disable();
    propagation.disable();
  };
}

/** Which part of the traces is kept, 0 to 1. What is no number keeps all. */
function share(text: string | undefined): number {
  const number = Number(text);
  return text !== undefined && text !== '' && number >= 0 && number <= 1 ? number : 1;
}
