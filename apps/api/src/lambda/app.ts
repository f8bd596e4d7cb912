import { RequestError } from '@batchmill/contract';
import { Hono } from 'hono';
import type { Api } from '../deps.ts';

let opened: Promise<Api> | undefined;

/** Opened by the first request and not by the import, so that a sandbox is up at once; once it works it stays. */
async function api(): Promise<Api> {
  opened ??= import('./api.ts').then(({ openApi }) => openApi());
  try {
    return await opened;
  } catch (error) {
    // The next request tries again: the bucket may have been away.
    opened = undefined;
    throw error;
  }
}

/** What Lambda's handlers serve: the API, as it is served elsewhere. */
export const app = new Hono();

app.all('*', async (c) => {
  let ready: Api;
  try {
    ready = await api();
  } catch (error) {
    // To the function's log, and not to whoever asks: it may name settings.
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    const body = new RequestError(503, 'The service could not start. Its log says why.', {
      code: 'unavailable',
    }).body();
    return c.json(body, 503, { 'retry-after': '5' });
  }
  return await ready.fetch(c.req.raw);
});
