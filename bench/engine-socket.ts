import { execFileSync } from 'node:child_process';

/** The socket of the llama-server below a worker, read off its command line. */
export function socketBelow(pid: number): string {
  const rows = execFileSync('ps', ['-eo', 'pid,ppid,args'], { encoding: 'utf8' }).split('\n');
  const host = rows
    .filter((row) => Number(row.trim().split(/\s+/)[1]) === pid)
    .map((row) => /--host (\S+\.sock)/.exec(row)?.[1])
    .find((socket) => socket !== undefined);
  if (host === undefined) throw new Error('the worker has no llama-server');
  return host;
}
