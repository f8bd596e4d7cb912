/**
 * Receives Batchmill's webhooks: verifies each, acts on it once, and fetches the results.
 *
 *     WEBHOOK_SECRET=whsec_… node examples/webhooks/receiver.ts
 *
 * It answers 2xx only when the work is done, so that whatever goes wrong here, the event comes again. Ids it has seen are
 * kept in a file; a service with a database keeps them there, in the transaction of the work itself.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import OpenAI from 'openai';

const { WEBHOOK_SECRET: secret = '', SEEN = 'seen-webhooks.txt', PORT = '9090' } = process.env;
const client = new OpenAI({ apiKey: 'none', webhookSecret: secret });
const seen = new Set(existsSync(SEEN) ? readFileSync(SEEN, 'utf8').split('\n') : []);

createServer(async (request, response) => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  const id = headers['webhook-id'] ?? '';
  try {
    await client.webhooks.verifySignature(body, headers);
  } catch {
    response.writeHead(401).end();
    return;
  }
  try {
    if (!seen.has(id)) {
      await act(JSON.parse(body));
      appendFileSync(SEEN, `${id}\n`);
      seen.add(id);
    }
    response.writeHead(204).end();
  } catch (error) {
    console.error(error);
    response.writeHead(500).end();
  }
}).listen(Number(PORT), '127.0.0.1', () => console.log(`listening at http://127.0.0.1:${PORT}/`));

interface Event {
  type: string;
  data: { id: string; output_file_url?: string | null };
}

async function act({ type, data }: Event): Promise<void> {
  console.log(`${type} ${data.id}`);
  // Also an expired or a cancelled batch has results of what was finished. No URL: no item was answered, or none can be signed.
  if (data.output_file_url == null) return;
  const results = await fetch(data.output_file_url);
  if (!results.ok) throw new Error(`the results answered with status ${results.status}`);
  for (const line of (await results.text()).trimEnd().split('\n')) {
    const { custom_id: customId, response } = JSON.parse(line);
    console.log(customId, JSON.stringify(response.body).slice(0, 200));
  }
}
