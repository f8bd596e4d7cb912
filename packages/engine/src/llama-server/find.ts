import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { withLock } from '../models/lock.ts';
import { EngineError } from '../port.ts';
import { type BuildProgress, buildInto, RECIPE, WAYS_OUT } from './build.ts';
import { onPath } from './compile.ts';
import { findLibraries, type Gpu, kinds, type Libraries } from './libraries.ts';
import { type LlamaServerVersion, llamaServerVersion } from './version.ts';

export interface EnsureOptions {
  /** Called while it is built, which takes a minute or two. */
  onProgress?: BuildProgress;
  /** True unless given. Without, only what is there already is found. */
  allowBuild?: boolean;
  /** Kernels to have; unless given, the best this machine has the hardware for. */
  gpu?: Gpu;
  /** It is built for another machine, into an image: this one need not have the GPU. */
  forAnotherMachine?: boolean;
  /** `~/.cache/batchmill/llama-server` unless given. */
  cacheDir?: string;
  signal?: AbortSignal;
}

export interface LlamaServerProgram {
  path: string;
  /** As the program names it. */
  version: string;
  /** For the log: what may go wrong with this program, in sentences. */
  warnings: string[];
}

/**
 * Finds a llama-server that runs on this machine: the one `LLAMA_SERVER` names, one on the PATH, the one built before,
 * else builds it (see `build.ts`). One on the PATH that is known to be too old is passed over while there is another way.
 * @throws EngineError `engine_missing`, with the ways out.
 */
export async function ensureLlamaServer(options: EnsureOptions = {}): Promise<LlamaServerProgram> {
  const named = process.env.LLAMA_SERVER;
  if (named) return theNamed(named);

  const found = onPath('llama-server');
  const onThePath = found === null ? null : await tried(found);
  if (onThePath !== null && onThePath.concern === null) return program(onThePath);

  try {
    return await ours(options);
  } catch (error) {
    if (onThePath === null || !(error instanceof EngineError)) throw error;
    return program(onThePath);
  }
}

async function theNamed(path: string): Promise<LlamaServerProgram> {
  try {
    return program({ path, ...(await llamaServerVersion(path)) });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new EngineError('engine_missing', `LLAMA_SERVER names ${path}, which does not run: ${reason}`, error);
  }
}

type Tried = LlamaServerVersion & { path: string };

/** Null when it does not run on this machine. */
async function tried(path: string): Promise<Tried | null> {
  try {
    return { path, ...(await llamaServerVersion(path)) };
  } catch {
    return null;
  }
}

function program({ path, version, concern }: Tried, more: string[] = []): LlamaServerProgram {
  const warnings = concern === null ? more : [`${path} is used, but ${concern}`, ...more];
  return { path, version, warnings };
}

/** The cached build for the wanted or best kernels, or a new one; if none of the better kinds works out, the CPU's. */
async function ours(options: EnsureOptions): Promise<LlamaServerProgram> {
  const wanted = options.gpu === undefined ? kinds().filter(hardwareFor) : [options.gpu];
  const warnings: string[] = [];
  let failure: unknown;
  for (const gpu of wanted) {
    const libraries = findLibraries(gpu);
    if (libraries === null) continue;
    try {
      return program(await cachedOrBuilt(libraries, options), warnings);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      failure ??= error;
      warnings.push(`llama-server for ${gpu} is not to be had: ${error.message}`);
    }
  }
  if (failure !== undefined) throw failure;
  throw new EngineError(
    'engine_missing',
    `There is no llama-server, and node-llama-cpp has no ${options.gpu ?? ''} libraries for ${process.platform} ` +
      `${process.arch} installed to build one with (it may be that npm left out optional packages). ${WAYS_OUT}`,
  );
}

async function cachedOrBuilt(libraries: Libraries, options: EnsureOptions): Promise<Tried> {
  const cache = options.cacheDir ?? join(homedir(), '.cache', 'batchmill', 'llama-server');
  const target = join(cache, `${libraries.release}-${libraries.platform}-${libraries.gpu}`);
  const before = await cached(target, libraries);
  if (before !== null) return before;
  if (options.allowBuild === false) {
    throw new EngineError(
      'engine_missing',
      `There is no llama-server in ${target}, and building one is not allowed here`,
    );
  }

  await mkdir(cache, { recursive: true });
  if (existsSync(`${target}.lock`)) options.onProgress?.(0, 1, 'waiting for another process that builds llama-server');
  return withLock(`${target}.lock`, options.signal ?? new AbortController().signal, async () => {
    // Another process may have built it while this one waited.
    const meanwhile = await cached(target, libraries);
    if (meanwhile !== null) return meanwhile;
    await buildInto(
      target,
      libraries,
      (executable, folder) => check(executable, folder, libraries, options.forAnotherMachine === true),
      options.onProgress,
    );
    const built = await tried(join(target, 'llama-server'));
    if (built === null) throw new EngineError('engine_missing', `The llama-server built in ${target} does not start`);
    return built;
  });
}

const stampJson = z.object({ recipe: z.number(), release: z.string(), packageVersion: z.string() });

/** Null when there is none, it is of another recipe or release, or it does not run (another machine's home folder). */
async function cached(target: string, libraries: Libraries): Promise<Tried | null> {
  const stamp = join(target, 'build.json');
  if (!existsSync(stamp)) return null;
  const read = stampJson.safeParse(JSON.parse(await readFile(stamp, 'utf8')));
  if (!read.success || read.data.recipe !== RECIPE) return null;
  if (read.data.release !== libraries.release || read.data.packageVersion !== libraries.packageVersion) return null;
  return tried(join(target, 'llama-server'));
}

const run = promisify(execFile);

/** @throws EngineError when what was built does not start, or does not see the GPU it was built for. */
async function check(
  executable: string,
  folder: string,
  { gpu, olderCuda }: Libraries,
  forAnotherMachine: boolean,
): Promise<void> {
  if ((await tried(executable)) === null) {
    const reason = await run(executable, ['--version']).then(
      () => 'it gave no version',
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    throw new EngineError('engine_missing', `llama-server was built but does not start: ${reason}`);
  }
  if (gpu === 'cpu' || forAnotherMachine || (await seesDevice(executable))) return;
  if (olderCuda !== null) {
    await copyFile(olderCuda, join(folder, 'libggml-cuda.so'));
    if (await seesDevice(executable)) return;
  }
  throw new EngineError('engine_missing', `llama-server was built for ${gpu} but sees no such device`);
}

/** Devices are listed as `  CUDA0: NVIDIA L4 (22565 MiB, …)`. */
async function seesDevice(executable: string): Promise<boolean> {
  const { stdout } = await run(executable, ['--list-devices'], { timeout: 60_000 });
  return /^ +\w+\d+: /m.test(stdout);
}

/** Cheap signs of the hardware, so that nothing is built for a GPU that is not there. */
function hardwareFor(gpu: Gpu): boolean {
  switch (gpu) {
    case 'cuda':
      return ['/dev/nvidiactl', '/proc/driver/nvidia/version', '/dev/dxg', '/dev/nvhost-ctrl'].some((path) =>
        existsSync(path),
      );
    case 'vulkan':
      return existsSync('/dev/dri/renderD128');
    default:
      return true;
  }
}
