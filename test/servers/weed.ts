import { execFile } from 'node:child_process';
import { access, copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';

/** SeaweedFS 4.53: the S3 server that `docker-compose.yml` uses too. Apache-2.0. */
const MODULE = 'github.com/seaweedfs/seaweedfs';
const VERSION = 'v0.0.0-20261109003541-7506e5f91cd6';

const run = promisify(execFile);

/**
 * The path of SeaweedFS's program, built from the Go module proxy the first time (about 4 minutes on two cores; 160 MB) and
 * kept in `~/.cache/batchmill/s3-server/<version>/weed`. Needs `go`, 1.26.6 or newer. `S3_SERVER_WEED` names another one.
 */
export async function weedProgram(): Promise<string> {
  const given = process.env.S3_SERVER_WEED;
  if (given !== undefined && given !== '') return given;
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'batchmill', 's3-server', VERSION);
  const program = join(folder, 'weed');
  await mkdir(folder, { recursive: true });
  while (!(await exists(program))) {
    if (await lock(folder)) {
      try {
        if (!(await exists(program))) await build(program);
      } finally {
        await rm(join(folder, 'building'), { force: true });
      }
    } else {
      await sleep(500);
    }
  }
  return program;
}

/** `go install` refuses the module, because its go.mod has a `replace`; so it is built in its own folder, with a copy of go.mod. */
async function build(program: string): Promise<void> {
  process.stderr.write(`Building the S3 server for the tests (${MODULE}@${VERSION}); this takes minutes, once.\n`);
  const work = await mkdtemp(join(tmpdir(), 'batchmill-weed-'));
  try {
    const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-p=2 -buildvcs=false' };
    await run('go', ['version'], { env }).catch(() => {
      throw new Error(
        'The S3 server for the tests is built with Go: install Go 1.26.6 or newer, or set S3_SERVER_WEED.',
      );
    });
    const { stdout } = await run('go', ['mod', 'download', '-json', `${MODULE}@${VERSION}`], { cwd: work, env });
    const { Dir } = z.object({ Dir: z.string() }).parse(JSON.parse(stdout));
    await writeFile(join(work, 'go.mod'), await readFile(join(Dir, 'go.mod')));
    await writeFile(join(work, 'go.sum'), await readFile(join(Dir, 'go.sum')));
    const built = join(work, 'weed');
    const args = ['build', `-modfile=${join(work, 'go.mod')}`, '-trimpath', '-ldflags=-s -w', '-o', built, './weed'];
    await run('go', args, { cwd: Dir, env, maxBuffer: 64 * 1024 * 1024 });
    // Whole or not at all at its place: another process may be waiting for it.
    await copyFile(built, `${program}.new`);
    await rename(`${program}.new`, program);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** `true` for the one process that is to build. The lock of a process that is dead is removed. */
async function lock(folder: string): Promise<boolean> {
  const path = join(folder, 'building');
  try {
    await writeFile(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    const owner = Number(await readFile(path, 'utf8').catch(() => '0'));
    if (owner > 0 && !isAlive(owner)) await rm(path, { force: true });
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

// `node test/servers/weed.ts` builds it ahead of the tests and prints where it is.
if (import.meta.main) console.log(await weedProgram());
