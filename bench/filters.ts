import { createJudge, type JudgedSegment, Policy } from '@batchmill/safety';
import { lexicon, minors, WordSearch } from '@batchmill/safety/lexicon';
import { personalData } from '@batchmill/safety/personal-data';
import { rules } from '@batchmill/safety/rules';
import { secrets } from '@batchmill/safety/secrets';
import type { BenchOptions } from './main.ts';
import { median } from './median.ts';
import { prose } from './prose.ts';

/**
 * How fast the filters that compute read: personal data, secrets, the English word list, three rules and the check that every
 * policy has, together, through the judge, in one thread. `mb_per_s`: prose in texts of 3 kB; `mb_per_s_10mb`: one answer of 10 MB.
 * The median of nine rounds, after two that warm up.
 */
const TEXT = 3_000;

const RULES = [
  { name: 'ticket', pattern: 'TICKET-\\d{4,8}', category: 'internal', severity: 4 },
  { name: 'project', pattern: 'project (falcon|osprey)', flags: 'i', category: 'internal', severity: 4 },
  { name: 'draft', pattern: 'DRAFT v\\d+', category: 'internal', severity: 2 },
];

export async function run({ quick }: BenchOptions): Promise<Record<string, number>> {
  const policy = Policy.parse({
    version: 1,
    name: 'bench',
    categories: { personal_data: 'redact', secrets: 'redact', profanity: 'annotate', internal: 'annotate' },
  });
  const search = new WordSearch();
  const filters = [
    minors(search),
    personalData({ region: 'US' }),
    secrets(),
    lexicon({ lists: ['profanity_en'] }, search),
    rules(RULES),
  ];
  const judge = createJudge(policy, filters);
  const context = {
    tenant: '',
    batchId: '',
    customId: '',
    asked: [],
    selfVerdicts: [],
    signal: new AbortController().signal,
  };
  const read = (text: string): Promise<JudgedSegment[]> => judge.judge([{ id: 'a', text }], context);
  const small = prose(quick ? 1_000_000 : 6_000_000);
  const large = prose(quick ? 2_000_000 : 10_000_000);
  const texts = Array.from({ length: Math.floor(small.length / TEXT) }, (_, i) =>
    small.slice(i * TEXT, (i + 1) * TEXT),
  );
  const speeds: number[] = [];
  const speedsLarge: number[] = [];
  for (let round = 0; round < 2; round++) for (const text of [large, ...texts]) await read(text);
  for (let round = 0; round < (quick ? 2 : 9); round++) {
    speeds.push(
      await speed(small.length, async () => {
        for (const text of texts) await read(text);
      }),
    );
    speedsLarge.push(await speed(large.length, () => read(large)));
    process.stderr.write(
      `  ${speeds.at(-1)?.toFixed(1)} MB/s in texts of 3 kB, ${speedsLarge.at(-1)?.toFixed(1)} MB/s in one\n`,
    );
  }
  for (const filter of filters) {
    const one = createJudge(policy, [filter]);
    const alone = await speed(large.length, () => one.judge([{ id: 'a', text: large }], context));
    process.stderr.write(`  ${filter.name} alone: ${alone.toFixed(0)} MB/s\n`);
  }
  const figure = (values: readonly number[]) => Number(median(values).toFixed(1));
  return { mb_per_s: figure(speeds), mb_per_s_10mb: figure(speedsLarge) };
}

async function speed(bytes: number, work: () => Promise<unknown>): Promise<number> {
  const before = process.threadCpuUsage();
  await work();
  const { user, system } = process.threadCpuUsage(before);
  return bytes / (user + system);
}
