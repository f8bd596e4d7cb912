import { estimate, PLAN_LIMITS, type PlanLimits, SHARD_LIMITS, splitLines, validateLine } from '@batchmill/batch';
import { LANES, type Lane } from '@batchmill/queue';
import { kindOf, type Speeds } from './speeds.ts';
import type { Scaling } from './wanted.ts';

/** What is in an input file, as the planner would see it. */
export interface Contents {
  items: number;
  wrongLines: number;
  tokens: number;
  pages: number;
  audioSeconds: number;
  lanes: Record<Lane, { items: number; tokens: number }>;
}

/** Reads an input file once, in flat memory. Lines that a batch would fail for are counted and add nothing. */
export async function contentsOf(
  source: AsyncIterable<Uint8Array>,
  endpoint: string,
  { lineBytes }: Pick<PlanLimits, 'lineBytes'> = PLAN_LIMITS,
): Promise<Contents> {
  const contents: Contents = {
    items: 0,
    wrongLines: 0,
    tokens: 0,
    pages: 0,
    audioSeconds: 0,
    lanes: { text: { items: 0, tokens: 0 }, media: { items: 0, tokens: 0 } },
  };
  for await (const lines of splitLines(source, lineBytes))
    for (const line of lines) {
      const result = validateLine(line, endpoint, lineBytes);
      if ('code' in result) {
        contents.wrongLines++;
        continue;
      }
      const { lane, tokens, pages, audioSeconds } = estimate(endpoint, result.body, line.bytes?.length ?? 0);
      contents.items++;
      contents.tokens += tokens;
      contents.pages += pages;
      contents.audioSeconds += audioSeconds;
      contents.lanes[lane].items++;
      contents.lanes[lane].tokens += tokens;
    }
  return contents;
}

export interface Times {
  /** Whether the speed of every kind of work in it was measured. */
  measured: boolean;
  /** Seconds of one worker. */
  workSeconds: number;
  /** With the workers that are there, behind what waits; with one that is started, if there is none. */
  nowSeconds: number;
  fullWorkers: number;
  fullSeconds: number;
}

/** How long it would take. `waitingSeconds`: seconds of one worker for what was accepted before. */
export function timesOf(
  { lanes }: Pick<Contents, 'lanes'>,
  endpoint: string,
  speeds: Speeds,
  { workers, waitingSeconds }: { workers: number | null; waitingSeconds: number },
  { maxWorkers, startSeconds }: Scaling,
): Times {
  let workSeconds = 0;
  let shards = 0;
  let measured = true;
  for (const lane of LANES) {
    const { items, tokens } = lanes[lane];
    if (items === 0) continue;
    const kind = kindOf(lane, endpoint);
    measured &&= speeds.knows(kind);
    workSeconds += tokens / speeds.of(kind);
    // A shard is done by one worker.
    const limits = SHARD_LIMITS[lane];
    shards += Math.max(Math.ceil(items / limits.items), Math.min(items, Math.ceil(tokens / limits.tokens)));
  }
  const there = workers ?? 1;
  const useful = (n: number) => Math.max(1, Math.min(n, shards));
  const started = there === 0 ? startSeconds : 0;
  const fullWorkers = useful(maxWorkers);
  return {
    measured,
    workSeconds,
    nowSeconds: started + waitingSeconds / Math.max(1, there) + workSeconds / useful(there),
    fullWorkers,
    fullSeconds: (there >= fullWorkers ? 0 : startSeconds) + workSeconds / fullWorkers,
  };
}
