import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { startApiStack } from './api-stack.ts';
import type { BenchOptions } from './main.ts';

/**
 * Events at a steady 500 a second into a trigger, from an API process that is killed (SIGKILL) and started again twice meanwhile.
 * The sender does what senders do: what gets no 2xx it sends again. `events_per_s`: acknowledged by time; `p99_ms`: of the answers,
 * from when the event was due, without those due in the first second and from a kill until everything that was due before the API
 * was up again has been acknowledged; `lost`: acknowledged events that are in no batch;
 * `doubled`: events that are in more than one, or twice in one.
 */
const PER_SECOND = 500;

export async function run(options: BenchOptions): Promise<Record<string, number>> {
  const events = options.items ?? (options.quick ? 3_000 : 20_000);
  const stack = await startApiStack({ SWEEP_INTERVAL: '1' });
  const { api, url } = stack;
  const agent = new Agent({ connections: 64 });
  try {
    const made = await request(`${url}/v1/triggers`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        name: 'bench',
        source: { type: 'json' },
        template: {
          task: 'chat',
          body: { model: 'default', messages: [{ role: 'user', content: 'Event {{ data.n }}' }] },
        },
        limits: { max_items: 1_000, max_wait_seconds: 5, requests_per_second: 10_000 },
      }),
    });
    const { events_path: path, secret } = Object(await made.body.json());
    const post = async (n: number) => {
      const { statusCode, body } = await request(`${url}${path}`, {
        method: 'POST',
        dispatcher: agent,
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${secret}`,
          'idempotency-key': `event-${n}`,
        },
        body: JSON.stringify({ n }),
      });
      const answer = Object(await body.json());
      return statusCode === 202 ? String(answer.items[0].item_id) : null;
    };

    const acknowledged = new Map<string, number>();
    const times: { at: number; ms: number }[] = [];
    let start = 0;
    let quietUntil = performance.now() + 1_000;
    const deliver = async (n: number, due: number) => {
      for (;;) {
        const item = await post(n).catch(() => null);
        if (item !== null) {
          acknowledged.set(item, n);
          if (performance.now() > quietUntil && due > quietUntil)
            times.push({ at: due - start, ms: performance.now() - due });
          return;
        }
        await sleep(100);
      }
    };
    const kills = [Math.floor(events / 3), Math.floor((2 * events) / 3)];
    start = performance.now();
    const underWay: Promise<void>[] = [];
    let restarts = Promise.resolve();
    let outages = 0;
    for (let n = 0; n < events; n++) {
      const due = start + (n * 1_000) / PER_SECOND;
      if (due > performance.now() + 1) await sleep(due - performance.now());
      if (kills.includes(n)) {
        quietUntil = Number.POSITIVE_INFINITY;
        outages++;
        // One after the other, however slow the machine is.
        restarts = restarts.then(async () => {
          await api.kill();
          await api.start();
          // Not when the API answers again, but when the sender has caught up. What comes after that counts, late or not.
          await Promise.all(underWay.slice());
          if (--outages === 0) quietUntil = performance.now();
        });
      }
      underWay.push(deliver(n, due));
      if (n % 2_000 === 0) process.stderr.write(`  ${n} sent, ${acknowledged.size} acknowledged\n`);
    }
    await Promise.all([...underWay, restarts]);
    const seconds = (performance.now() - start) / 1_000;
    process.stderr.write(`  ${acknowledged.size} acknowledged in ${seconds.toFixed(1)} s\n`);
    process.stderr.write(`  p99 is of ${times.length} answers\n`);

    const counts = new Map<string, number>();
    for (let waited = 0; waited < 90 && counts.size < acknowledged.size; waited += 2) {
      await sleep(2_000);
      counts.clear();
      for (const item of await itemsOf(url)) counts.set(item, (counts.get(item) ?? 0) + 1);
    }
    const sorted = times.map(({ ms }) => ms).sort((a, b) => a - b);
    const at = (share: number) => Math.round(sorted[Math.floor(sorted.length * share)] ?? Number.NaN);
    process.stderr.write(`  ms of 50 %: ${at(0.5)}, 90 %: ${at(0.9)}, 95 %: ${at(0.95)}, 99 %: ${at(0.99)}\n`);
    const slow = new Map<number, number>();
    for (const { at: when, ms } of times)
      if (ms > 50) slow.set(Math.floor(when / 1000), (slow.get(Math.floor(when / 1000)) ?? 0) + 1);
    process.stderr.write(`  later than 50 ms, by second: ${JSON.stringify(Object.fromEntries(slow))}\n`);
    return {
      events_per_s: Math.round(acknowledged.size / seconds),
      p99_ms: at(0.99),
      lost: [...acknowledged.keys()].filter((item) => !counts.has(item)).length,
      doubled: [...counts.values()].filter((count) => count > 1).length,
    };
  } finally {
    await agent.close();
    await stack.stop();
  }
}

/** The `custom_id`s of all batches' input files. */
async function itemsOf(url: string): Promise<string[]> {
  const items: string[] = [];
  for (let after = ''; ; ) {
    const page = Object(
      await (await request(`${url}/v1/batches?limit=100${after === '' ? '' : `&after=${after}`}`)).body.json(),
    );
    for (const batch of page.data) {
      const file = await (await request(`${url}/v1/files/${batch.input_file_id}/content`)).body.text();
      for (const line of file.trimEnd().split('\n')) items.push(String(JSON.parse(line).custom_id));
      after = batch.id;
    }
    if (page.has_more !== true) return items;
  }
}
