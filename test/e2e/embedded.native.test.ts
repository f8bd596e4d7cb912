import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memoryOf, newHome, ServiceProcess } from '../servers/service.ts';
import { chat, jsonl } from './items.ts';
import { clientOf, ended, endToEnd, resultsOf, submit } from './suite.ts';

/** `npm start` on a home folder of its own. */
function startEmbedded(home: string, env: Record<string, string> = {}): Promise<ServiceProcess> {
  return ServiceProcess.start({
    entry: 'apps/cli/src/main.ts',
    args: ['start'],
    env: { BATCHMILL_HOME: home, PORT: '0', QUEUE_URL: '', BUCKET_URL: '', THREADS: '1', ...env },
    ready: (printed) => printed.includes('Batchmill is up'),
  });
}

const urlOf = (service: ServiceProcess) => /(http:\/\/[\d.]+:\d+)\/v1/.exec(service.stdout)?.[1] ?? '';

endToEnd('everything embedded', async () => {
  const home = await newHome();
  const service = await startEmbedded(home, { PART_INTERVAL: '1' });
  return {
    url: urlOf(service),
    stop: async () => {
      await service.end();
      await rm(home, { recursive: true, force: true });
    },
  };
});

describe('npm start', () => {
  let home: string;
  beforeAll(async () => {
    home = await newHome();
  });
  afterAll(() => rm(home, { recursive: true, force: true }));

  const input = Array.from({ length: 250 }, (_, i) => chat(`r-${i}`, `Say ${i}.`, { max_tokens: 32 }));
  const answered = async (client: OpenAI, id: string) =>
    (await client.batches.retrieve(id)).request_counts?.completed ?? 0;
  const start = () => startEmbedded(home, { PART_INTERVAL: '1', WORKER_LOCK: '2' });

  test('stopped by SIGINT in mid-batch, then killed: each start goes on, each line comes once, no process is left over', async () => {
    let service = await start();
    let client = clientOf(urlOf(service));
    const id = await submit(client, jsonl(input));
    while ((await client.batches.retrieve(id)).status !== 'in_progress') await sleep(20);
    // Some are answered by then, and not yet written.
    await sleep(500);
    expect(await service.end('SIGINT')).toBe(0);

    service = await start();
    client = clientOf(urlOf(service));
    const kept = await answered(client, id);
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(input.length);
    while ((await answered(client, id)) < Math.min(input.length, kept + 10)) await sleep(20);
    await service.kill();

    service = await start();
    client = clientOf(urlOf(service));
    const batch = await ended(client, id);
    expect(batch.status).toBe('completed');
    await resultsOf(client, batch, input);
    expect(memoryOf(service.pid).nowMb).toBeLessThan(600);
    // Two on one home folder: the second is told who has it.
    await expect(startEmbedded(home)).rejects.toThrow(new RegExp(`Another Batchmill \\(process ${service.pid}\\)`));
    await service.end();
  });

  test('without a key it refuses any address but loopback, and says what to do', async () => {
    await expect(startEmbedded(home, { HOST: '0.0.0.0' })).rejects.toThrow(/batchmill keys create/);
  });
});
