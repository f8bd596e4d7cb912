import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ConfigError } from '@batchmill/config';
import { newId, RequestError } from '@batchmill/contract';
import { anyKeys } from '@batchmill/keys';
import { BUILT_IN } from '@batchmill/safety';
import { createLogger } from '@batchmill/telemetry';
import { getRequestListener } from '@hono/node-server';
import { type ApiOptions, createApi } from './api.ts';
import { isLoopback } from './http/loopback.ts';
import { createReceiver } from './triggers/receiver.ts';

export interface ServeOptions extends ApiOptions {
  /** Address to listen on. Anything but loopback needs an API key in the bucket. Default: `127.0.0.1`. */
  host?: string;
  /** Port to listen on; 0 takes any free one. */
  port: number;
  /** How long `close` lets running requests finish. Milliseconds, default 30,000. */
  closeMs?: number;
}

export interface ApiServer {
  /** Where it can be reached, e.g. `http://127.0.0.1:8080`. */
  url: string;
  /** Takes no more requests, waits for the running ones for `closeMs` at most, then cuts them off. */
  close(): Promise<void>;
}

const MINUTE = 60_000;

/**
 * Serves the API.
 *
 * @throws ConfigError if the address is not loopback and there is no API key; Error if the port cannot be had
 */
export async function serve(options: ServeOptions): Promise<ApiServer> {
  const host = options.host ?? '127.0.0.1';
  if (!isLoopback(host) && !(await anyKeys(options.batch.bucket))) {
    throw new ConfigError(
      `Refusing to listen on ${host}: there is no API key, so anybody who can reach this address could use the service. ` +
        `Create a key with 'batchmill keys create', or listen on 127.0.0.1.`,
    );
  }
  const logger = options.logger ?? createLogger('api');
  const receiver = options.receiver ?? createReceiver(options.batch, options.policies ?? BUILT_IN, logger);
  const api = createApi({ ...options, logger, receiver });
  const server = createServer(
    {
      // Large uploads over slow lines take their time; a silent connection does not get it.
      requestTimeout: 60 * MINUTE,
      headersTimeout: MINUTE / 2,
      // Longer than the idle time of the usual load balancers, which would otherwise meet a closing connection.
      keepAliveTimeout: 75_000,
    },
    getRequestListener(api.fetch, { hostname: host, errorHandler: unreadable }),
  );
  // Joining a large upload is silent for minutes.
  server.timeout = 10 * MINUTE;
  server.on('clientError', refuseConnection);
  server.on('checkExpectation', refuseExpectation);
  server.listen(options.port, host);
  await once(server, 'listening');
  return {
    url: urlOf(server, host),
    close: async () => {
      await close(server, options.closeMs ?? MINUTE / 2);
      await receiver.close();
    },
  };
}

/** Answers a request that is not even one for the API: its target or Host header cannot be read. */
function unreadable(): Response {
  const error = new RequestError(400, 'The request target or Host header is malformed.', { code: 'malformed_request' });
  return Response.json(error.body(), { status: 400, headers: { 'x-request-id': newId('req_') } });
}

/** Answers an `Expect` that is none (RFC 9110 §10.1.1), in the error shape of everything else. */
function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const error = new RequestError(417, "The only 'Expect' that is met is '100-continue'.", {
    code: 'malformed_request',
  });
  response.writeHead(417, { 'content-type': 'application/json', 'x-request-id': newId('req_') });
  response.end(JSON.stringify(error.body()));
}

/** Answers what Node's HTTP parser rejects, in the error shape of everything else. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const [status, reason, message] = REFUSALS[error.code ?? ''] ?? [400, 'Bad Request', 'This is not HTTP/1.1.'];
  const body = JSON.stringify(new RequestError(status, message, { code: 'malformed_request' }).body());
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nx-request-id: ${newId('req_')}\r\n\r\n${body}`,
  );
}

const REFUSALS: Record<string, [number, string, string]> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'The headers of the request are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'The request took too long to arrive.'],
};

async function close(server: Server, closeMs: number): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  // Connections that are kept alive fall idle one by one as their requests end.
  const sweep = setInterval(() => server.closeIdleConnections(), 50);
  const cut = setTimeout(() => server.closeAllConnections(), closeMs);
  try {
    await closed;
  } finally {
    clearInterval(sweep);
    clearTimeout(cut);
  }
}

function urlOf(server: Server, host: string): string {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
