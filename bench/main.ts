import { parseArgs } from 'node:util';

/**
 * `npm run bench -- NAME [options]` runs one benchmark: progress on standard error, and as the last line on standard output
 * one JSON object with its figures. What each one measures stands at the top of its file.
 */
const BENCHMARKS = [
  'overhead',
  'ingest',
  'latency',
  'engine',
  'media',
  'slots',
  'demo-model',
  'accuracy',
  'judge',
  'pii',
  'lexicon',
  'filters',
  'triggers',
  'lambda',
  'chaos',
  'rolling',
  'api',
  'autoscale',
  'workers',
  'fairness',
  'million',
  'wipe',
] as const;

export interface BenchOptions {
  /** Number of items, where the benchmark has items. */
  items?: number;
  /** A smaller run for a quick look: its figures say little. */
  quick: boolean;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, items: { type: 'string' } },
});
const name = BENCHMARKS.find((b) => b === positionals[0]);
const items = values.items === undefined ? undefined : Number(values.items);
if (name === undefined || (items !== undefined && !(Number.isInteger(items) && items > 0))) {
  process.stderr.write(`usage: npm run bench -- ${BENCHMARKS.join('|')} [--quick] [--items N]\n`);
  process.exit(2);
}
// A signal would end this process without its 'exit' handlers, which end the servers it has started.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.once(signal, () => process.exit(code));
const { run }: { run(options: BenchOptions): Promise<Record<string, number>> } = await import(`./${name}.ts`);
const figures = await run({ quick: values.quick, ...(items === undefined ? {} : { items }) });
process.stdout.write(`${JSON.stringify(figures)}\n`);
process.exit(0);
