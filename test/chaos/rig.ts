import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Bucket, openBucket } from '@batchmill/bucket';
import { FaultyLine } from '../servers/faulty-line.ts';
import { freePorts } from '../servers/ports.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { type S3Server, startS3 } from '../servers/s3.ts';
import { ServiceProcess } from '../servers/service.ts';
import { mountSmallDisk, type SmallDisk } from '../servers/small-disk.ts';
import { type StandIn, standIn } from '../servers/stand-in-engine.ts';

export interface RigOptions {
  queue: 'redis' | 'postgres';
  bucket: 's3' | 'disk';
  infers?: number;
  controls?: number;
  answerMs?: number;
}

/** A process of the product, and the clock it goes by. */
export interface Member {
  name: string;
  role: 'api' | 'control' | 'infer';
  service: ServiceProcess;
  /** Puts its clock so many seconds off, at once, without its knowing. */
  setClock(seconds: number): Promise<void>;
}

/** The product as a cluster runs it, with everything in reach that can break. */
export interface Rig {
  url: string;
  bucket: Bucket;
  queueUrl: string;
  members: Member[];
  engine: StandIn;
  redis: RedisServer | null;
  postgres: PostgresServer | null;
  s3: { server: S3Server; line: FaultyLine } | null;
  disk: SmallDisk | null;
  /** Ends the processes of the product as an operator would, and gives their exit codes. */
  end(): Promise<(number | null)[]>;
  stop(): Promise<void>;
}

/** So that what is lost is found within seconds, and little is lost. */
const SHORT = { PART_INTERVAL: '1', WORKER_LOCK: '3', SWEEP_INTERVAL: '2', STOP_GRACE: '5' };

export async function startRig(options: RigOptions): Promise<Rig> {
  const closers: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
  };
  try {
    const folder = await mkdtemp(join(tmpdir(), 'batchmill-rig-'));
    closers.push(() => rm(folder, { recursive: true, force: true }));
    const redis = options.queue === 'redis' ? await startRedis({ durable: true }) : null;
    if (redis !== null) closers.push(() => redis.stop());
    const postgres = options.queue === 'postgres' ? await startPostgres() : null;
    if (postgres !== null) closers.push(() => postgres.stop());
    const queueUrl = redis?.url ?? postgres?.url ?? '';

    const s3 = options.bucket === 's3' ? await s3Behind() : null;
    if (s3 !== null) closers.push(() => s3.server.stop());
    if (s3 !== null) closers.push(async () => s3.line[Symbol.asyncDispose]());
    const disk = options.bucket === 'disk' ? await mountSmallDisk(256) : null;
    if (disk !== null) closers.push(async () => disk[Symbol.asyncDispose]());
    Object.assign(process.env, s3?.server.env ?? {});
    const troubled = s3?.server.url.replace(s3.server.endpoint, `http://127.0.0.1:${s3.line.port}`);
    const bucketUrl = troubled ?? pathToFileURL(join(disk?.folder ?? folder, 'bucket')).href;
    // Not over the line: who checks is not to be deceived.
    const bucket = await openBucket(s3?.server.url ?? bucketUrl);
    closers.push(() => bucket.close());

    const engine = await standIn({ answerMs: options.answerMs ?? 20 });
    closers.push(async () => engine[Symbol.asyncDispose]());
    const [port = 0] = await freePorts(1);
    const env = {
      ...SHORT,
      ...engine.env,
      ...s3?.server.env,
      QUEUE_URL: queueUrl,
      BUCKET_URL: bucketUrl,
      PORT: String(port),
      MAX_BATCH_ITEMS: '10000000',
      LOG_LEVEL: 'info',
    };
    const members: Member[] = [];
    const enter = async (name: string, role: Member['role']) => {
      const member = await startMember(name, role, folder, env);
      members.push(member);
    };
    closers.push(async () => {
      await Promise.all(members.map(({ service }) => service.kill()));
    });
    await enter('api', 'api');
    for (let i = 1; i <= (options.controls ?? 2); i++) await enter(`control ${i}`, 'control');
    for (let i = 1; i <= (options.infers ?? 2); i++) await enter(`infer ${i}`, 'infer');
    const end = () => Promise.all(members.map(({ service }) => service.end()));
    return { url: `http://127.0.0.1:${port}`, bucket, queueUrl, members, engine, redis, postgres, s3, disk, end, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function s3Behind(): Promise<{ server: S3Server; line: FaultyLine }> {
  const server = await startS3();
  return { server, line: await FaultyLine.lay(Number(new URL(server.endpoint).port)) };
}

/** The library of Debian's package `faketime`, which stands between a program and its clock. */
async function fakeTime(): Promise<string> {
  for (const folder of await readdir('/usr/lib').catch(() => [])) {
    const path = `/usr/lib/${folder}/faketime/libfaketime.so.1`;
    try {
      readFileSync(path);
      return path;
    } catch {
      // Of another architecture, or not there.
    }
  }
  throw new Error('Clocks cannot be put off here. Install it: apt-get install faketime');
}

async function startMember(
  name: string,
  role: Member['role'],
  folder: string,
  settings: Record<string, string>,
): Promise<Member> {
  const clock = join(folder, `${name.replace(' ', '-')}.clock`);
  await writeFile(clock, '+0');
  const env = {
    ...settings,
    LD_PRELOAD: await fakeTime(),
    FAKETIME_TIMESTAMP_FILE: clock,
    // Seconds between looks at the file.
    FAKETIME_CACHE_DURATION: '1',
    // A clock that is put right does not turn back time itself: timers go on.
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1',
  };
  const service = await ServiceProcess.start(
    role === 'api'
      ? { entry: 'apps/api/src/main.ts', env, ready: (p) => p.includes('the API is up') }
      : {
          entry: 'apps/worker/src/main.ts',
          args: ['--roles', role],
          env,
          ready: (p) => p.includes('worker is up'),
        },
  );
  return { name, role, service, setClock: (seconds) => writeFile(clock, `${seconds >= 0 ? '+' : ''}${seconds}`) };
}
