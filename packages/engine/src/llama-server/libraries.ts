import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';

/** The kernels that llama-server computes with. */
export type Gpu = 'cpu' | 'cuda' | 'vulkan' | 'metal';

/** What node-llama-cpp brings along: the source of a llama.cpp release and that release's compiled libraries. */
export interface Libraries {
  gpu: Gpu;
  /** `linux-x64`: Node's platform and architecture. */
  platform: string;
  /** `v0.4.0`. */
  release: string;
  /** Version of the npm packages. */
  packageVersion: string;
  /** A git bundle of the source. */
  bundle: string;
  /** The folder of libraries. */
  folder: string;
  /** File names in it. */
  files: string[];
  /** The CUDA backend for the CUDA version before, where the newer one does not load. */
  olderCuda: string | null;
}

/** Packages that node-llama-cpp 3 installs, by Node's platform and architecture. */
const PACKAGES: Record<string, Partial<Record<Gpu, string>>> = {
  'linux-x64': { cpu: 'linux-x64', cuda: 'linux-x64-cuda', vulkan: 'linux-x64-vulkan' },
  'linux-arm64': { cpu: 'linux-arm64' },
  'darwin-arm64': { metal: 'mac-arm64-metal' },
  'darwin-x64': { cpu: 'mac-x64' },
};

export function thisPlatform(): string {
  return `${process.platform}-${process.arch}`;
}

/** Kinds of kernels node-llama-cpp has for this platform, best first. */
export function kinds(platform = thisPlatform()): Gpu[] {
  const order: Gpu[] = ['metal', 'cuda', 'vulkan', 'cpu'];
  return order.filter((gpu) => PACKAGES[platform]?.[gpu] !== undefined);
}

const packageJson = z.object({ version: z.string() });
const releaseJson = z.object({ release: z.string() });

/** Null when the package for this platform and kind is not installed, which npm allows: they are optional. */
export function findLibraries(gpu: Gpu, platform = thisPlatform()): Libraries | null {
  const name = PACKAGES[platform]?.[gpu];
  const main = installed(import.meta.url, 'node-llama-cpp');
  if (name === undefined || main === null) return null;
  const found = installed(main, `@node-llama-cpp/${name}`);
  if (found === null) return null;

  const root = packageRoot(main);
  const release = join(root, 'llama', 'binariesGithubRelease.json');
  const bundle = join(root, 'llama', 'gitRelease.bundle');
  const folder = join(packageRoot(found), 'bins', name);
  if (!existsSync(release) || !existsSync(bundle) || !existsSync(folder)) return null;

  const older = gpu === 'cuda' ? installed(main, `@node-llama-cpp/${name}-ext`) : null;
  const olderCuda = older === null ? null : join(packageRoot(older), 'bins', name, 'fallback', 'libggml-cuda.so');
  return {
    gpu,
    platform,
    release: releaseJson.parse(JSON.parse(readFileSync(release, 'utf8'))).release,
    packageVersion: packageJson.parse(JSON.parse(readFileSync(join(packageRoot(found), 'package.json'), 'utf8')))
      .version,
    bundle,
    folder,
    files: readdirSync(folder).filter((file) => /\.(so|dylib|metal|metallib)$/.test(file)),
    olderCuda: olderCuda !== null && existsSync(olderCuda) ? olderCuda : null,
  };
}

/** A package's entry file. npm may have hoisted it anywhere above, or nested it. */
function installed(from: string, name: string): string | null {
  try {
    return createRequire(from).resolve(name);
  } catch {
    return null;
  }
}

function packageRoot(entry: string): string {
  let folder = dirname(entry);
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}
