import { type Scaling, workersWanted } from '@batchmill/scaling';
import type { BenchOptions } from './main.ts';

/**
 * A simulation of scaling, second by second: our signal against plain queue length, on the same arrivals, the same scaler and the same
 * workers.
 *
 * - **Arrivals**: `burst`, batches come together a few times a day; `wave`, many by day and few by night; `trickle`, a small one now
 *   and then. Sizes are log-normal, from seconds to hours of one worker's time; windows are 1 h, 4 h or 24 h; a part of the shards is of media and costs
 *   up to ten times as much as one of text. Each with several seeds, three days each.
 * - **Scaler**, the same for both: KEDA's loop. It asks every 30 s, raises at once, lowers to the highest it was told in the last 300 s
 *   (stabilization window), and goes to zero after 300 s without work (cooldown). At most 20 workers. A worker takes 30 to 180 s to its first item,
 *   drawn for each start; it is paid for from the start on, until it has ended.
 * - **Workers**, the same for both: each takes the next shard of the batch whose deadline is first, and ends after the shard it holds.
 *   A shard takes what it takes; the estimate that the signal sees is wrong by a factor of its own for each batch (log-normal,
 *   σ = 0.4), and the measured speed is 10 % too high.
 * - **Ours** is the product's own `workersWanted`, with its default settings, started from what the API would know.
 * - **Queue length** wants ⌈shards waiting or running / k⌉ workers. Its one parameter is tuned for it, with hindsight and on the very arrivals it is
 *   judged by: of k = 1, 2, 4 … 256, the one with the fewest misses, and of those the one with the least GPU time.
 *
 * A miss is a batch with work left at its deadline. `misses_…` are of all patterns and seeds, `gpu_time_ratio` is our GPU time by that of queue
 * length. On standard error: each pattern by itself, every k, and idle time.
 */
export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const seeds = options.quick ? 2 : 8;
  const loads = PATTERNS.flatMap((pattern) =>
    Array.from({ length: seeds }, (_, seed) => ({ pattern, seed, batches: arrivals(pattern, seed) })),
  );
  const all = loads.reduce((sum, { batches }) => sum + batches.length, 0);
  const total = (policy: Policy) => add(loads.map((load) => simulate(load.batches, policy, load.seed)));
  const show = (name: string, { misses, gpuSeconds, workSeconds }: Outcome) =>
    process.stderr.write(
      `${name.padEnd(22)} misses ${String(misses).padStart(4)}  GPU h ${(gpuSeconds / HOUR).toFixed(1).padStart(8)}  idle ${((1 - workSeconds / gpuSeconds) * 100).toFixed(0).padStart(3)} %\n`,
    );
  process.stderr.write(`${all} batches\n`);

  const ours = total(signal);
  show('ours', ours);
  let best: { k: number; outcome: Outcome } | null = null;
  const peers: { k: number; outcome: Outcome }[] = [];
  for (let k = 1; k <= 256; k *= 2) {
    const outcome = total(queueLength(k));
    peers.push({ k, outcome });
    show(`queue length, k = ${k}`, outcome);
    const fewer = best === null || outcome.misses < best.outcome.misses;
    const cheaper = outcome.misses === best?.outcome.misses && outcome.gpuSeconds < best.outcome.gpuSeconds;
    if (fewer || cheaper) best = { k, outcome };
  }
  if (best === null) throw new Error('no peer');
  const peer = best;
  for (const pattern of PATTERNS) {
    const some = loads.filter((load) => load.pattern === pattern);
    const of = (policy: Policy) => add(some.map((load) => simulate(load.batches, policy, load.seed)));
    show(`${pattern}: ours`, of(signal));
    show(`${pattern}: k = ${peer.k}`, of(queueLength(peer.k)));
  }
  // The cheapest that it can be had for: how many it misses at no more than our GPU time.
  const affordable = peers.filter(({ outcome }) => outcome.gpuSeconds <= ours.gpuSeconds);
  return {
    misses_ours: ours.misses,
    misses_queue: peer.outcome.misses,
    gpu_time_ratio: round(ours.gpuSeconds / peer.outcome.gpuSeconds),
    queue_k: peer.k,
    misses_queue_at_our_cost: Math.min(...affordable.map(({ outcome }) => outcome.misses), all),
    idle_ours: round(1 - ours.workSeconds / ours.gpuSeconds),
    idle_queue: round(1 - peer.outcome.workSeconds / peer.outcome.gpuSeconds),
    batches: all,
  };
}

const round = (n: number) => Math.round(n * 1_000) / 1_000;
const MINUTE = 60;
const HOUR = 3_600;
const DAY = 24 * HOUR;
const DAYS = 3;

const PATTERNS = ['burst', 'wave', 'trickle'] as const;
type Pattern = (typeof PATTERNS)[number];

interface Batch {
  at: number;
  deadline: number;
  /** Seconds of one worker, of each shard. */
  shards: number[];
  /** What the signal takes a second of work for. */
  error: number;
}

/** Numbers that look random and are the same in every run: mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed * 0x9e3779b9 + 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function arrivals(pattern: Pattern, seed: number): Batch[] {
  const random = randomOf(PATTERNS.indexOf(pattern) * 1_000 + seed + 1);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const pick = <T>(...of: T[]): T => of[Math.floor(random() * of.length)] as T;
  const batch = (at: number, medianSeconds: number): Batch => {
    const work = Math.min(20 * HOUR, medianSeconds * Math.exp(1.2 * normal()));
    // A shard is a handful of short texts, 500 long ones, or 64 documents whose length shows when they are opened.
    const shardSeconds = Math.min(1_800, Math.max(5, 60 * Math.exp(1.2 * normal())));
    const count = Math.max(1, Math.round(work / shardSeconds));
    const shards = Array.from({ length: count }, () => Math.max(1, (work / count) * Math.exp(0.2 * normal())));
    // Nobody is promised what all workers together could not do.
    const window = pick(HOUR, 4 * HOUR, 24 * HOUR);
    const least = (1.5 * work) / MOST_WORKERS + 20 * MINUTE;
    return { at, deadline: at + Math.max(window, least), shards, error: Math.exp(0.4 * normal()) };
  };
  const batches: Batch[] = [];
  const until = DAYS * DAY;
  if (pattern === 'burst') {
    for (let at = 2 * HOUR; at < until; at += (4 + 8 * random()) * HOUR)
      for (let n = 3 + Math.floor(random() * 8); n > 0; n--)
        batches.push(batch(Math.floor(at + random() * 300), 40 * MINUTE));
  } else if (pattern === 'wave') {
    for (let at = 0; at < until; ) {
      const day = 0.05 + Math.max(0, Math.sin(((at / DAY) % 1) * 2 * Math.PI - Math.PI / 2));
      at += Math.ceil((-Math.log(1 - random()) * 12 * MINUTE) / day);
      batches.push(batch(at, 15 * MINUTE));
    }
  } else {
    for (let at = 0; at < until; ) {
      at += Math.ceil(-Math.log(1 - random()) * 15 * MINUTE);
      batches.push(batch(at, 20));
    }
  }
  return batches.filter(({ at }) => at < until).sort((a, b) => a.at - b.at);
}

const MOST_WORKERS = 20;
/** Shards of one batch and lane that the product has in the queue at a time. */
const QUEUED = 32;
const POLL = 30;
const STABLE = 300;
const COOLDOWN = 300;
const SCALING: Scaling = { maxWorkers: MOST_WORKERS, startSeconds: 120, pace: 0.5, patienceSeconds: 900 };

interface Open {
  batch: Batch;
  /** Shards that nobody has begun, and those that are not done. */
  next: number;
  left: number;
}
interface Worker {
  readyAt: number;
  /** What it holds. */
  job: { open: Open; left: number } | null;
  leaving: boolean;
}
interface Seen {
  now: number;
  open: readonly Open[];
  running: number;
}
type Policy = (seen: Seen) => number;

/** The product's: what the API would compute from the bucket and the queue. */
const signal: Policy = ({ now, open, running }) =>
  workersWanted(
    open.map(({ batch, left }) => {
      const mean = batch.shards.reduce((a, b) => a + b, 0) / batch.shards.length;
      return {
        workSeconds: (left * mean * batch.error) / 1.1,
        shards: left,
        since: batch.at,
        deadline: batch.deadline,
      };
    }),
    running,
    now,
    SCALING,
  );

const queueLength =
  (k: number): Policy =>
  ({ open }) =>
    Math.min(MOST_WORKERS, Math.ceil(open.reduce((sum, { left }) => sum + Math.min(left, QUEUED), 0) / k));

interface Outcome {
  misses: number;
  gpuSeconds: number;
  /** Of these, at work. */
  workSeconds: number;
}

function add(outcomes: readonly Outcome[]): Outcome {
  const sum = { misses: 0, gpuSeconds: 0, workSeconds: 0 };
  for (const { misses, gpuSeconds, workSeconds } of outcomes) {
    sum.misses += misses;
    sum.gpuSeconds += gpuSeconds;
    sum.workSeconds += workSeconds;
  }
  return sum;
}

function simulate(batches: readonly Batch[], policy: Policy, seed: number): Outcome {
  const random = randomOf(seed + 77);
  const outcome: Outcome = { misses: 0, gpuSeconds: 0, workSeconds: 0 };
  let open: Open[] = [];
  let workers: Worker[] = [];
  let told: { at: number; wanted: number }[] = [];
  let lastWork = 0;
  let arrived = 0;
  for (let now = 0; arrived < batches.length || open.length > 0 || workers.length > 0; now++) {
    for (let next = batches[arrived]; next !== undefined && next.at <= now; next = batches[++arrived])
      open.push({ batch: next, next: 0, left: next.shards.length });
    if (open.length > 0) lastWork = now;
    // A batch that is late ends: what is not done is expired.
    const late = open.filter(({ batch }) => batch.deadline <= now);
    if (late.length > 0) {
      outcome.misses += late.length;
      open = open.filter(({ batch }) => batch.deadline > now);
      for (const worker of workers) if (worker.job !== null && late.includes(worker.job.open)) worker.job = null;
    }
    if (now % POLL === 0) {
      const running = workers.filter(({ leaving }) => !leaving).length;
      told = [...told.filter(({ at }) => at > now - STABLE), { at: now, wanted: policy({ now, open, running }) }];
      let goal = Math.max(...told.map(({ wanted }) => wanted));
      // The last one goes only after the cooldown.
      if (goal === 0 && running > 0 && now - lastWork < COOLDOWN) goal = 1;
      for (let n = running; n < goal; n++)
        workers.push({ readyAt: now + 30 + Math.floor(150 * random()), job: null, leaving: false });
      if (goal < running) {
        // Those without a shard first, as a deletion cost by load would have it.
        const order = workers
          .filter(({ leaving }) => !leaving)
          .sort((a, b) => Number(a.job !== null) - Number(b.job !== null));
        for (const worker of order.slice(0, running - goal)) worker.leaving = true;
      }
    }
    workers = workers.filter((worker) => !(worker.leaving && worker.job === null));
    for (const worker of workers) {
      outcome.gpuSeconds++;
      if (now < worker.readyAt) continue;
      if (worker.job === null && !worker.leaving) {
        let first: Open | null = null;
        for (const one of open)
          if (one.next < one.batch.shards.length && (first === null || one.batch.deadline < first.batch.deadline))
            first = one;
        if (first !== null) worker.job = { open: first, left: first.batch.shards[first.next++] ?? 0 };
      }
      if (worker.job === null) continue;
      outcome.workSeconds++;
      worker.job.left--;
      if (worker.job.left > 0) continue;
      worker.job.open.left--;
      worker.job = null;
    }
    open = open.filter(({ left }) => left > 0);
  }
  return outcome;
}
