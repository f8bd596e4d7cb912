import type { Attributes, Tracer } from '@opentelemetry/api';

export type { Attributes };

/** OpenTelemetry's API while spans go somewhere. It is a hundred modules, of which a process without traces loads none. */
let on: (Pick<typeof import('@opentelemetry/api'), 'context' | 'propagation' | 'trace'> & { tracer: Tracer }) | null =
  null;

/** Whether spans go anywhere. */
export function tracing(): boolean {
  return on !== null;
}

/**
 * Sends traces to the OTLP/HTTP collector that `OTEL_EXPORTER_OTLP_ENDPOINT` names (or, for traces alone,
 * `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`). Without either it does nothing, and nothing of OpenTelemetry is loaded.
 * Headers, sampler and service name are taken from the variables of the OpenTelemetry specification.
 *
 * @param service name of the process, unless `OTEL_SERVICE_NAME` has another.
 * @returns sends what is left and stops; to be called at the end of the process.
 */
export async function startTraces(service: string): Promise<() => Promise<void>> {
  const { env } = process;
  // Empty means unset, as everywhere.
  if (!env.OTEL_EXPORTER_OTLP_ENDPOINT && !env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) return async () => {};
  const [{ context, propagation, trace }, { startExporting }] = await Promise.all([
    import('@opentelemetry/api'),
    import('./otlp.ts'),
  ]);
  const stop = startExporting(service);
  on = { context, propagation, trace, tracer: trace.getTracer('batchmill') };
  return async () => {
    on = null;
    await stop();
  };
}

/** `SpanStatusCode.ERROR` and `SpanKind.SERVER` of its API, which is not loaded for two numbers. */
const STATUS_ERROR = 2;
const KIND_SERVER = 1;

/** Does `work` inside a span. An error is noted in the span by its name, since messages may quote what people wrote. */
export function span<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  if (on === null) return work();
  return on.tracer.startActiveSpan(name, { attributes }, async (active) => {
    try {
      return await work();
    } catch (error) {
      active.setStatus({ code: STATUS_ERROR, message: error instanceof Error ? error.name : 'error' });
      throw error;
    } finally {
      active.end();
    }
  });
}

/** The same for a step that says something only as a part of what it serves: where no span is open it makes none. */
export function innerSpan<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  return openSpan() === undefined ? work() : span(name, attributes, work);
}

/** The same for a request that came in: goes on with the trace of its `traceparent` header, if it has one (W3C Trace Context). */
export function serverSpan<T>(
  name: string,
  headers: Record<string, string>,
  attributes: Attributes,
  work: () => Promise<T>,
): Promise<T> {
  if (on === null) return work();
  const parent = on.propagation.extract(on.context.active(), headers);
  return on.tracer.startActiveSpan(name, { kind: KIND_SERVER, attributes }, parent, async (active) => {
    try {
      return await work();
    } finally {
      active.end();
    }
  });
}

/** Does `work` so that nothing in it makes spans: for the many where a few are enough to see. */
export function untraced<T>(work: () => Promise<T>): Promise<T> {
  return on === null ? work() : on.context.with(on.trace.deleteSpan(on.context.active()), work);
}

/** Adds to the span that is open here, if any; `name` gives it another name. */
export function annotate(attributes: Attributes, name?: string): void {
  const active = openSpan();
  active?.setAttributes(attributes);
  if (name !== undefined) active?.updateName(name);
}

/** Ids of the span that is open here, for log lines. */
export function traceIds(): { trace_id: string; span_id: string } | null {
  const active = openSpan()?.spanContext();
  return active === undefined ? null : { trace_id: active.traceId, span_id: active.spanId };
}

function openSpan() {
  return on?.trace.getSpan(on.context.active());
}
