import { type Attributes, context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';

export type { Attributes };

let on = false;

/** Whether spans go anywhere. */
export function tracing(): boolean {
  return on;
}

/**
 * Sends traces to the OTLP/HTTP collector that `OTEL_EXPORTER_OTLP_ENDPOINT` names (or, for traces alone,
 * `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`). Without either it does nothing, and nothing of OpenTelemetry but its small API is
 * loaded. Headers, sampler and service name are taken from the variables of the OpenTelemetry specification.
 *
 * @param service name of the process, unless `OTEL_SERVICE_NAME` has another.
 * @returns sends what is left and stops; to be called at the end of the process.
 */
export async function startTraces(service: string): Promise<() => Promise<void>> {
  const { env } = process;
  // Empty means unset, as everywhere.
  if (!env.OTEL_EXPORTER_OTLP_ENDPOINT && !env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) return async () => {};
  const { startExporting } = await import('./otlp.ts');
  const stop = startExporting(service);
  on = true;
  return async () => {
    on = false;
    await stop();
  };
}

const tracer = trace.getTracer('batchmill');

/** Does `work` inside a span. An error is noted in the span by its name, since messages may quote what people wrote. */
export function span<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  if (!on) return work();
  return tracer.startActiveSpan(name, { attributes }, async (active) => {
    try {
      return await work();
    } catch (error) {
      active.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.name : 'error' });
      throw error;
    } finally {
      active.end();
    }
  });
}

/** The same for a step that says something only as a part of what it serves: where no span is open it makes none. */
export function innerSpan<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  return on && trace.getSpan(context.active()) !== undefined ? span(name, attributes, work) : work();
}

/** The same for a request that came in: goes on with the trace of its `traceparent` header, if it has one (W3C Trace Context). */
export function serverSpan<T>(
  name: string,
  headers: Record<string, string>,
  attributes: Attributes,
  work: () => Promise<T>,
): Promise<T> {
  if (!on) return work();
  const parent = propagation.extract(context.active(), headers);
  return tracer.startActiveSpan(name, { kind: SpanKind.SERVER, attributes }, parent, async (active) => {
    try {
      return await work();
    } finally {
      active.end();
    }
  });
}

/** Does `work` so that nothing in it makes spans: for the many where a few are enough to see. */
export function untraced<T>(work: () => Promise<T>): Promise<T> {
  return on ? context.with(trace.deleteSpan(context.active()), work) : work();
}

/** Adds to the span that is open here, if any; `name` gives it another name. */
export function annotate(attributes: Attributes, name?: string): void {
  if (!on) return;
  const active = trace.getSpan(context.active());
  active?.setAttributes(attributes);
  if (name !== undefined) active?.updateName(name);
}

/** Ids of the span that is open here, for log lines. */
export function traceIds(): { trace_id: string; span_id: string } | null {
  if (!on) return null;
  const active = trace.getSpan(context.active())?.spanContext();
  return active === undefined ? null : { trace_id: active.traceId, span_id: active.spanId };
}
