import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { metrics } from '@batchmill/telemetry';
import type { SyntaxNode } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';
import type { Metric } from 'prom-client';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

const Rules = z.object({
  groups: z.array(
    z.object({
      name: z.string(),
      rules: z.array(
        z.strictObject({
          alert: z.string().regex(/^Batchmill[A-Za-z]+$/),
          expr: z.string(),
          for: z
            .string()
            .regex(/^\d+[smh]$/)
            .optional(),
          labels: z.strictObject({ severity: z.enum(['page', 'warn']) }),
          annotations: z.strictObject({ summary: z.string() }),
        }),
      ),
    }),
  ),
});
const Dashboard = z.object({
  uid: z.string(),
  panels: z.array(
    z.object({ id: z.number(), title: z.string(), targets: z.array(z.object({ expr: z.string() })).default([]) }),
  ),
});

const alerts = Rules.parse(parse(read('infra/grafana/alerts.yaml'))).groups.flatMap(({ rules }) => rules);
const { panels } = Dashboard.parse(JSON.parse(read('infra/grafana/batchmill.json')));
const expressions = [
  ...alerts.map(({ alert, expr }) => ({ where: alert, expr })),
  // Grafana's own variables, as it fills them in.
  ...panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }) => ({
      where: title,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$__range', '6h').replaceAll('$job', 'api'),
    })),
  ),
];

/** Series in Prometheus → labels, of every metric the code has. */
const series = new Map<string, Set<string>>();
for (const metric of Object.values<Metric & { name?: string; labelNames?: string[]; type?: string }>(metrics)) {
  const labels = [...(metric.labelNames ?? []), 'instance', 'job'];
  const name = metric.name ?? '';
  if ('buckets' in metric || 'upperBounds' in metric) {
    series.set(`${name}_bucket`, new Set([...labels, 'le']));
    for (const suffix of ['_count', '_sum']) series.set(name + suffix, new Set(labels));
  } else series.set(name, new Set(labels));
}
/** Of prom-client itself. */
series.set('process_resident_memory_bytes', new Set(['instance', 'job']));

/** Names of series, and of labels, in an expression. Throws if it is no PromQL. */
function namesIn(expr: string): { series: string[]; labels: string[] } {
  const found = { series: [] as string[], labels: [] as string[] };
  parser
    .configure({ strict: true })
    .parse(expr)
    .iterate({
      enter: ({ name, from, to, node }) => {
        const text = expr.slice(from, to);
        const parent: SyntaxNode | null = node.parent;
        if (name === 'Identifier' && parent?.name === 'VectorSelector') found.series.push(text);
        if (name === 'LabelName') found.labels.push(text);
      },
    });
  return found;
}

test.for(expressions)('$where asks for what the code measures', ({ expr }) => {
  const names = namesIn(expr);
  expect(names.series.length).toBeGreaterThan(0);
  for (const name of names.series) expect([...series.keys()], expr).toContain(name);
  const labels = new Set(names.series.flatMap((name) => [...(series.get(name) ?? [])]));
  for (const label of names.labels) expect([...labels], expr).toContain(label);
});

test('a name that nothing measures, and what is no PromQL, would be noticed', () => {
  expect(series.has('batchmill_items')).toBe(false);
  expect(namesIn('sum(rate(batchmill_nothing_total[5m]))').series).toEqual(['batchmill_nothing_total']);
  expect(() => namesIn('sum(rate(batchmill_items_total[5m])')).toThrow();
});

test('every metric is on the dashboard, and in docs/telemetry.md with its labels; no other is there', () => {
  const shown = new Set(
    panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => expr.match(/batchmill_\w+/g) ?? [])),
  );
  const documented = new Map<string, string>();
  for (const line of read('docs/telemetry.md').split('\n')) {
    const [, first = '', second = ''] = line.split('|').map((cell) => cell.trim());
    for (const [, name = ''] of first.matchAll(/`(batchmill_\w+)`/g)) documented.set(name, second);
  }
  const names = new Set<string>();
  for (const metric of Object.values<Metric & { name?: string; labelNames?: string[] }>(metrics)) {
    const name = metric.name ?? '';
    names.add(name);
    expect(
      [...shown].some((one) => one.replace(/_(bucket|count|sum)$/, '') === name || one === name),
      name,
    ).toBe(true);
    const labels = [...(documented.get(name) ?? '').matchAll(/`(\w+)`/g)].map(([, label]) => label);
    expect({ name, labels: labels.sort() }).toEqual({ name, labels: [...(metric.labelNames ?? [])].sort() });
  }
  expect([...documented.keys()].sort()).toEqual([...names].sort());
});

test('docs/telemetry.md says what to do about every alert', () => {
  const headings = [...read('docs/telemetry.md').matchAll(/^### (Batchmill\w+)$/gm)].map(([, name]) => name);
  expect(headings.sort()).toEqual(alerts.map(({ alert }) => alert).sort());
});

test('panels have ids of their own', () => {
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
});
