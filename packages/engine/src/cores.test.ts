import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { cores, cpuQuota } from './cores.ts';

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

function machine(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'cores-'));
  roots.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

test('without a cgroup the operating system decides', () => {
  const root = machine({});
  expect(cpuQuota(root)).toBeNull();
  expect(cores(root)).toBe(availableParallelism());
});

test('the strictest level of cgroup v2 counts', () => {
  const root = machine({
    'proc/self/cgroup': '0::/kubepods/pod1/c1\n',
    'sys/fs/cgroup/kubepods/pod1/c1/cpu.max': 'max 100000\n',
    'sys/fs/cgroup/kubepods/pod1/cpu.max': '150000 100000\n',
    'sys/fs/cgroup/kubepods/cpu.max': '800000 100000\n',
  });
  expect(cpuQuota(root)).toBe(1.5);
  expect(cores(root)).toBe(1);
});

test('in a container with its own cgroup namespace the root of the mount counts', () => {
  const root = machine({ 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '50000 100000\n' });
  expect(cpuQuota(root)).toBe(0.5);
  expect(cores(root)).toBe(1);
});

test('cgroup v1', () => {
  const root = machine({
    'proc/self/cgroup': '12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n',
    'sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us': '-1\n',
    'sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us': '100000\n',
    'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '300000\n',
    'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
  });
  expect(cpuQuota(root)).toBe(3);
});
