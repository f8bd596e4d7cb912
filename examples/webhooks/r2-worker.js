/**
 * A Cloudflare Worker that hands the event notifications of R2 to a trigger. R2 puts them into a queue; this is the queue's
 * consumer. What the trigger does not take stays in the queue and comes again: nothing is lost, and nothing becomes two items.
 *
 *     npx wrangler queues create scans
 *     npx wrangler r2 bucket notification create scans --event-type object-create --queue scans
 *     npx wrangler secret put TRIGGER_SECRET
 *     npx wrangler deploy          # wrangler.toml: [vars] TRIGGER_URL, and [[queues.consumers]] queue = "scans"
 */
export default {
  async queue(batch, env) {
    const response = await fetch(env.TRIGGER_URL, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${env.TRIGGER_SECRET}` },
      body: JSON.stringify(batch.messages.map((message) => message.body)),
    });
    if (response.ok) batch.ackAll();
    else batch.retryAll({ delaySeconds: Number(response.headers.get('retry-after') ?? 30) });
  },
};
