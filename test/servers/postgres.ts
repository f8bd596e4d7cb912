import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../../packages/queue/src/embedded/embedded.ts';
import { FaultyLine } from './faulty-line.ts';

export interface PostgresServer {
  /** Stays the same when the server is started again. */
  url: string;
  /** The line that leads to it. */
  line: FaultyLine;
  /** As by `pg_ctl stop -m immediate`: connections break, nothing is written down. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, with the same data. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** A real PostgreSQL, the one that comes with the product, behind a line of its own. */
export async function startPostgres(): Promise<PostgresServer> {
  const home = await mkdtemp(join(tmpdir(), 'batchmill-postgres-'));
  // As root it runs as another user, and elsewhere if that one cannot get in here.
  await chmod(home, 0o755);
  let server = await startEmbeddedPostgres(home);
  const portOf = (url: string) => Number(new URL(url).port);
  const line = await FaultyLine.lay(portOf(server.url));
  const url = new URL(server.url);
  url.port = String(line.port);
  return {
    url: url.href,
    line,
    kill: async () => {
      const pid = Number((await readFile(join(home, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0]);
      line.trouble({ kind: 'down' });
      process.kill(pid, 'SIGQUIT');
      await server.stop();
    },
    start: async () => {
      server = await startEmbeddedPostgres(home);
      line.lead(portOf(server.url));
      line.trouble({ kind: 'none' });
    },
    stop: async () => {
      await server.stop();
      await line[Symbol.asyncDispose]();
      await rm(home, { recursive: true, force: true });
    },
  };
}
