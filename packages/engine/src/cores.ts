import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';

/**
 * How many threads this process can really run at once: what the operating system offers, less what the container's CPU
 * quota (cgroup v1 or v2) forbids. Engines with more threads than that do not slow down a little, they all but stop.
 */
export function cores(root = '/'): number {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(cpuQuota(root) ?? Infinity)));
}

/** The quota in cores, possibly a fraction; null without one. The strictest of all levels of the hierarchy counts. */
export function cpuQuota(root = '/'): number | null {
  const quotas: number[] = [];
  for (const line of (read(join(root, 'proc/self/cgroup')) ?? '').split('\n')) {
    // `0::/path` (v2) or `4:cpu,cpuacct:/path` (v1).
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    if (controllers !== '' && !controllers.split(',').includes('cpu')) continue;
    const mount = join(root, controllers === '' ? 'sys/fs/cgroup' : 'sys/fs/cgroup/cpu');
    for (let level = path; ; level = dirname(level)) {
      const quota = controllers === '' ? quotaV2(join(mount, level)) : quotaV1(join(mount, level));
      if (quota !== null) quotas.push(quota);
      if (level === '/') break;
    }
  }
  return quotas.length === 0 ? null : Math.min(...quotas);
}

function quotaV2(folder: string): number | null {
  const [quota, period] = (read(join(folder, 'cpu.max')) ?? 'max').split(' ').map(Number);
  return ratio(quota, period);
}

function quotaV1(folder: string): number | null {
  return ratio(
    Number(read(join(folder, 'cpu.cfs_quota_us')) ?? -1),
    Number(read(join(folder, 'cpu.cfs_period_us')) ?? 0),
  );
}

function ratio(quota: number | undefined, period: number | undefined): number | null {
  return quota !== undefined && period !== undefined && quota > 0 && period > 0 ? quota / period : null;
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    // No such controller here: no limit from it.
    return null;
  }
}
