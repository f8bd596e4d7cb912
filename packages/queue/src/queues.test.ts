import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { queueConformance } from './conformance.ts';
import { rateConformance } from './conformance-rate.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded/embedded.ts';
import { openQueues } from './open.ts';
import { openRateLimit } from './rate.ts';

let home: string;
let postgres: EmbeddedPostgres;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'batchmill-queue-'));
  // As root the server runs as another user, and is put elsewhere if that one cannot get in here.
  await chmod(home, 0o755);
  postgres = await startEmbeddedPostgres(home);
});

afterAll(async () => {
  await postgres.stop();
  await rm(home, { recursive: true, force: true });
});

queueConformance(
  'embedded PostgreSQL',
  () => openQueues(postgres.url),
  async () => {
    const client = new pg.Client({ connectionString: postgres.url });
    await client.connect();
    await client.query('DROP SCHEMA bullmq CASCADE');
    await client.end();
  },
);

rateConformance('PostgreSQL', () => openRateLimit(postgres.url), { shared: true });
rateConformance('memory', () => openRateLimit(null), { shared: false });

test('requests are counted here while the server is away', async () => {
  for (const url of ['redis://127.0.0.1:9', 'postgres://127.0.0.1:9/none']) {
    const rate = openRateLimit(url);
    const waits: number[] = [];
    for (let i = 0; i < 4; i++) waits.push(await rate.take('a', 2));
    expect(waits.filter((ms) => ms === 0).length).toBeGreaterThanOrEqual(2);
    await rate.close();
  }
});

test('a server that is not there is named in plain words, without its password', async () => {
  await expect(openQueues('postgres://someone:hunter2@127.0.0.1:9/none')).rejects.toThrow(/127\.0\.0\.1:9/);
  await expect(openQueues('redis://:hunter2@127.0.0.1:9')).rejects.toThrow(/127\.0\.0\.1:9/);
  await expect(openQueues('redis://:hunter2@127.0.0.1:9')).rejects.not.toThrow(/hunter2/);
  await expect(openQueues('amqp://localhost')).rejects.toThrow(/QUEUE_URL must begin with/);
});

test('the embedded server starts again on its data, also after its owner was killed', async () => {
  const queues = await openQueues(postgres.url);
  const job = { tenant: 't', batchId: 'batch_again', shard: 1, lane: 'text' as const, items: 1, priority: 1 };
  await queues.addShards([job]);
  await queues.close();
  await postgres.stop();
  postgres = await startEmbeddedPostgres(home);
  const again = await openQueues(postgres.url);
  expect(await again.waiting()).toEqual({ text: 1, media: 0 });
  await again.wipe();
  await again.close();
});

// The last one: the server is gone then.
test('nothing of a server that is not kept stays behind', async () => {
  await postgres.stop();
  postgres = await startEmbeddedPostgres(home, { keep: false });
  expect(await readdir(home)).toContain('postgres');
  await postgres.stop();
  expect(await readdir(home)).toEqual(['postgres.password']);
});
