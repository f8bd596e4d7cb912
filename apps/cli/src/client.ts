import OpenAI from 'openai';
import { CommandError } from './errors.ts';

/** Where the server is and how to get in, for commands that talk to one. */
export interface ServerOptions {
  url?: string;
  key?: string;
}

/** The official `openai` client: our API is theirs. */
export function createClient(options: ServerOptions): OpenAI {
  const url = options.url ?? (process.env.BATCHMILL_URL || 'http://127.0.0.1:8080');
  if (!URL.canParse(url))
    throw new CommandError(`'${url}' is not a URL. Give one like http://127.0.0.1:8080 with --url or BATCHMILL_URL.`);
  return new OpenAI({
    baseURL: `${url.replace(/\/+$/, '').replace(/\/v1$/, '')}/v1`,
    apiKey: options.key ?? (process.env.BATCHMILL_API_KEY || 'none'),
    // About two seconds: whoever mistyped the address does not wait long to be told.
    maxRetries: 2,
  });
}
