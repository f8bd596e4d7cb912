import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { BatchFact, PlanFact, readFact } from '@batchmill/batch';
import { layout } from '@batchmill/bucket';

import { createPostgresBackend, Queue, withBackend } from 'bullmq';
import { Redis } from 'ioredis';
import pg from 'pg';
import { queueNames } from '../../packages/queue/src/jobs.ts';
import { BROKEN, SLOW_DOWN, type Trouble } from '../servers/faulty-line.ts';
import type { ServiceProcess } from '../servers/service.ts';
import type { Random } from './random.ts';
import type { Member, Rig } from './rig.ts';

/** Faults of different kinds happen side by side, those of one kind one after the other. */
export const KINDS = ['infer', 'front', 'ground'] as const;

/** Something that goes wrong and is put right again. When it returns, everything is up. */
export interface Fault {
  name: string;
  /** Whose it is: of infer workers and engines, of the product's other processes, or of what they stand on. */
  of: (typeof KINDS)[number];
  /** Whether it can happen on this rig. */
  on(rig: Rig): boolean;
  inflict(rig: Rig, random: Random): Promise<void>;
}

const always = () => true;
const memberOf = (rig: Rig, role: Member['role'], random: Random) =>
  random.of(rig.members.filter((member) => member.role === role));

/** How long something stays broken. */
const awhile = (random: Random) => sleep(random.between(100, 1_500));

function killed(role: Member['role']): Fault {
  return {
    name: `SIGKILL of ${role}`,
    of: role === 'infer' ? 'infer' : 'front',
    on: always,
    inflict: async (rig, random) => {
      const { service } = memberOf(rig, role, random);
      await service.kill();
      await awhile(random);
      await startAgain(service);
    },
  };
}

/** What a process needs is back well before, also on a busy machine: then it could not start for another reason. */
const STARTS_WITHIN_MS = 90_000;

/** As whoever watches over processes does: one that cannot start, since what it needs is away, is started again. */
async function startAgain(service: ServiceProcess): Promise<void> {
  for (const end = Date.now() + STARTS_WITHIN_MS; ; await sleep(250)) {
    try {
      return await service.start();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

/** What a worker logs that had to leave work undone at its end. */
const NOT_HANDED_IN = 'not everything could be handed in before the time was over';

function drained(role: Member['role']): Fault {
  return {
    name: `SIGTERM of ${role}`,
    of: role === 'infer' ? 'infer' : 'front',
    on: always,
    inflict: async (rig, random) => {
      const { service, name } = memberOf(rig, role, random);
      const code = await service.end();
      // With its bucket or queue away all the time it had, it cannot hand in what it holds, and says so.
      const unable = code === 1 && service.printed.includes(NOT_HANDED_IN);
      if (code !== 0 && !unable)
        throw new Error(`${name} ended with ${code} after SIGTERM:\n${service.printed.slice(-2_000)}`);
      await startAgain(service);
    },
  };
}

/** Silent for longer than its lock, as on a machine that hangs: what it holds goes to another, and then it goes on. */
function silenced(role: 'control' | 'infer'): Fault {
  return {
    name: `SIGSTOP of ${role} past its lock`,
    of: role === 'infer' ? 'infer' : 'front',
    on: always,
    inflict: async (rig, random) => {
      const { service, name } = memberOf(rig, role, random);
      if (!service.running)
        throw new Error(`${name} has ended by itself with ${service.exitCode}:\n${service.printed.slice(-2_000)}`);
      process.kill(service.pid, 'SIGSTOP');
      await sleep(random.between(3_500, 7_000));
      process.kill(service.pid, 'SIGCONT');
    },
  };
}

const engineKilled: Fault = {
  name: 'SIGKILL of the engine',
  of: 'infer',
  on: always,
  inflict: async (rig, random) => {
    const { service } = memberOf(rig, 'infer', random);
    for (const pid of await childrenOf(service.pid)) {
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (command.includes('stand-in-engine')) process.kill(pid, 'SIGKILL');
    }
  },
};

async function childrenOf(pid: number): Promise<number[]> {
  const found: number[] = [];
  for (const thread of await readdir(`/proc/${pid}/task`).catch(() => [])) {
    const children = await readFile(`/proc/${pid}/task/${thread}/children`, 'utf8').catch(() => '');
    found.push(...children.split(' ').filter(Boolean).map(Number));
  }
  return found;
}

const queueWiped: Fault = {
  name: 'the queue is wiped',
  of: 'ground',
  on: always,
  inflict: async ({ redis, postgres }) => {
    if (redis !== null) {
      const client = new Redis(redis.url);
      await client.flushall();
      client.disconnect();
    }
    if (postgres !== null) {
      const client = new pg.Client({ connectionString: postgres.url });
      await client.connect();
      await client.query('DROP SCHEMA IF EXISTS bullmq CASCADE');
      await client.end();
    }
  },
};

const queueRestarted: Fault = {
  name: "the queue's server is killed and started",
  of: 'ground',
  on: always,
  inflict: async ({ redis, postgres }, random) => {
    await redis?.kill();
    await postgres?.kill();
    await awhile(random);
    await redis?.start();
    await postgres?.start();
  },
};

const queueSilent: Fault = {
  name: "the queue's server hangs",
  of: 'ground',
  on: ({ redis }) => redis !== null,
  inflict: async ({ redis }, random) => {
    redis?.pause();
    await sleep(random.between(500, 4_000));
    redis?.resume();
  },
};

const storeRestarted: Fault = {
  name: 'the S3 server is killed and started',
  of: 'ground',
  on: ({ s3 }) => s3 !== null,
  inflict: async ({ s3 }, random) => {
    await s3?.server.kill();
    await awhile(random);
    await s3?.server.start();
  },
};

function storeTroubled(what: string, trouble: (random: Random) => Trouble): Fault {
  return {
    name: `the S3 server ${what}`,
    of: 'ground',
    on: ({ s3 }) => s3 !== null,
    inflict: async ({ s3 }, random) => {
      s3?.line.trouble(trouble(random));
      await sleep(random.between(300, 3_000));
      s3?.line.trouble({ kind: 'none' });
    },
  };
}

const diskFull: Fault = {
  name: 'the disk of the bucket is full',
  of: 'ground',
  on: ({ disk }) => disk !== null,
  inflict: async ({ disk }, random) => {
    await disk?.fill();
    await sleep(random.between(300, 3_000));
    await disk?.free();
  },
};

const clockJumps: Fault = {
  name: 'a clock jumps to and fro',
  of: 'ground',
  on: always,
  inflict: async (rig, random) => {
    const member = random.of(rig.members);
    // Not past a batch's window of 24 hours: it would be right to expire then.
    await member.setClock(Math.round(random.between(-12, 12) * 3_600));
    await sleep(random.between(1_500, 4_000));
    await member.setClock(0);
  },
};

/** Shards of batches that run, and of ones that have ended, come into the queue once more, under ids nobody knows. */
const jobsRepeated: Fault = {
  name: 'jobs come twice and late',
  of: 'ground',
  on: always,
  inflict: async (rig, random) => {
    const batches: { tenant: string; id: string }[] = [];
    for await (const { key } of rig.bucket.list('batches/')) {
      if (!key.endsWith('/batch.json')) continue;
      const fact = await readFact(rig.bucket, key, BatchFact);
      if (fact !== null) batches.push(fact);
    }
    await withQueue(rig, async (queue) => {
      for (let i = 0; i < 8 && batches.length > 0; i++) {
        const { tenant, id } = random.of(batches);
        const plan = await readFact(rig.bucket, layout.batch.plan(tenant, id), PlanFact);
        if (plan === null) continue;
        const { shard, lane } = random.of(plan.shards);
        await queue.add('shard', { tenant, batchId: id, shard, lane }, { removeOnComplete: true, removeOnFail: true });
      }
    });
  },
};

async function withQueue(rig: Rig, work: (queue: Pick<Queue, 'add'>) => Promise<void>): Promise<void> {
  const name = queueNames.infer('text');
  if (rig.redis !== null) {
    const connection = new Redis(rig.redis.url, { maxRetriesPerRequest: null });
    const queue = new Queue(name, { connection, prefix: 'batchmill' });
    await work(queue);
    await queue.close();
    connection.disconnect();
  } else {
    const queue = new (withBackend(createPostgresBackend).Queue)(name, { connection: rig.queueUrl });
    await work(queue);
    await queue.close();
  }
}

export const FAULTS: readonly Fault[] = [
  killed('api'),
  killed('control'),
  killed('infer'),
  engineKilled,
  drained('api'),
  drained('control'),
  drained('infer'),
  silenced('control'),
  silenced('infer'),
  queueWiped,
  queueRestarted,
  queueSilent,
  storeRestarted,
  storeTroubled('is down', () => ({ kind: 'down' })),
  storeTroubled('is slow', (random) => ({ kind: 'slow', ms: random.between(50, 800) })),
  storeTroubled('answers 500', () => BROKEN),
  storeTroubled('answers 503 SlowDown', () => SLOW_DOWN),
  storeTroubled('cuts connections', (random) => ({ kind: 'cut', bytes: random.between(0, 20_000) })),
  diskFull,
  clockJumps,
  jobsRepeated,
];
