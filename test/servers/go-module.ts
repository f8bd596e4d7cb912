import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';

const run = promisify(execFile);
const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'batchmill');

/** The folder of a Go module's source, downloaded once. Needs `go`. */
export async function goModule(module: string, version: string): Promise<string> {
  // Outside of any module: nothing here has a go.mod.
  const { stdout } = await run('go', ['mod', 'download', '-json', `${module}@${version}`], { cwd: '/' });
  return z.object({ Dir: z.string() }).parse(JSON.parse(stdout)).Dir;
}

/** A program that `go install` builds, built once and kept in `~/.cache/batchmill`. */
export async function goProgram(name: string, command: string, version: string): Promise<string> {
  const folder = join(CACHE, `${name}-${version}`);
  const program = join(folder, name);
  const there = await access(program).then(
    () => true,
    () => false,
  );
  if (!there) {
    process.stderr.write(`Building ${name} ${version} for the tests; this takes minutes, once.\n`);
    const env = { ...process.env, GOBIN: folder, GOFLAGS: '-p=2' };
    await run('go', ['install', `${command}@${version}`], { cwd: '/', env, maxBuffer: 2 ** 26 });
  }
  return program;
}
