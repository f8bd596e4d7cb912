import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { constants, copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { EngineError } from '../port.ts';
import { command, compiler, inParallel, onPath } from './compile.ts';
import type { Libraries } from './libraries.ts';
import { patch } from './patch.ts';

/** `done` of `total` steps; `message` says what was just finished. */
export type BuildProgress = (done: number, total: number, message: string) => void;

/** Counted up when the build changes, so that what older versions of Batchmill built is built anew. */
export const RECIPE = 2;

/** Of the source tree only these are checked out. */
const CHECKED_OUT = [
  'tools/server',
  'tools/mtmd',
  'common',
  'include',
  'ggml/include',
  'vendor',
  'src/llama-ext.h',
  'LICENSE',
];

/** Programs beside the library code. */
const NOT_PART = new Set(['mtmd-cli.cpp', 'deprecation-warning.cpp']);

const HASHES = ['xxhash/xxhash.c', 'sha1/sha1.c', 'sha256/sha256.c'];

/** The server compiles in its web page; ours has none. As `tools/ui/embed.cpp` writes it without assets. */
const UI_HEADER = `#pragma once
#include <array>
#include <string>
struct llama_ui_asset {
    std::string           name;
    const unsigned char * data;
    std::size_t           size;
    std::string           etag;
    std::string           type;
};
const llama_ui_asset * llama_ui_find_asset(const std::string & name);
bool llama_ui_use_gzip();
const std::array<llama_ui_asset, 0> & llama_ui_get_assets();
`;
const UI_SOURCE = `#include "ui.h"
const llama_ui_asset * llama_ui_find_asset(const std::string &) { return nullptr; }
bool llama_ui_use_gzip() { return false; }
const std::array<llama_ui_asset, 0> & llama_ui_get_assets() {
    static const std::array<llama_ui_asset, 0> none{};
    return none;
}
`;

/** As llama.cpp's own CMake files set them for these parts. */
const FLAGS = ['-O2', '-w', '-DNDEBUG', '-D_GNU_SOURCE', '-DLLAMA_SUBPROCESS']
  .concat(['-DLLAMA_SHARED', '-DGGML_SHARED', '-DGGML_BACKEND_SHARED'])
  .concat(['-DCPPHTTPLIB_FORM_URL_ENCODED_PAYLOAD_MAX_LENGTH=1048576', '-DCPPHTTPLIB_LISTEN_BACKLOG=512'])
  .concat(['-DCPPHTTPLIB_REQUEST_URI_MAX_LENGTH=32768', '-DCPPHTTPLIB_TCP_NODELAY=1']);

const INCLUDES = ['tools/server', 'tools/mtmd', 'include', 'ggml/include', 'common', 'vendor', 'vendor/hash', '.'];

/**
 * Builds llama-server from the source that node-llama-cpp carries, linked with the libraries it ships for the same
 * release, into `folder`: the executable and copies of the libraries, so that it needs node_modules no more. Only the
 * server itself is compiled (about 30 files); no CMake, OpenSSL or curl is used. Nothing is downloaded.
 * @throws EngineError `engine_missing` without compiler or git, or when the build fails.
 */
export async function buildLlamaServer(
  libraries: Libraries,
  folder: string,
  onProgress?: BuildProgress,
): Promise<void> {
  const cxx = compiler();
  const git = onPath('git');
  if (cxx === null || git === null) {
    const missing = cxx === null ? (git === null ? 'a C++ compiler and git' : 'a C++ compiler') : 'git';
    throw new EngineError(
      'engine_missing',
      `There is no llama-server, and it cannot be built without ${missing}. ${WAYS_OUT}`,
    );
  }
  const work = join(folder, 'build');
  await mkdir(work, { recursive: true });
  try {
    await build({ cxx, git, work, libraries, folder, onProgress: onProgress ?? (() => {}) });
  } catch (error) {
    if (error instanceof EngineError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new EngineError('engine_missing', `llama-server could not be built: ${reason}\n${WAYS_OUT}`, error);
  }
  await rm(work, { recursive: true, force: true });
}

export const WAYS_OUT =
  'Ways out: install g++ and git (Debian, Ubuntu: apt-get install g++ git) and start again; or set LLAMA_SERVER to a ' +
  'llama-server of llama.cpp 0.4.0 or later; or serve text only with ENGINE=node-llama-cpp.';

interface Build {
  cxx: string;
  git: string;
  work: string;
  folder: string;
  libraries: Libraries;
  onProgress: BuildProgress;
}

async function build({ cxx, git, work, folder, libraries, onProgress }: Build): Promise<void> {
  const source = join(work, 'source');
  await command(git, ['clone', '--quiet', '--no-checkout', libraries.bundle, source], work);
  await command(git, ['checkout', '--quiet', 'HEAD', '--', ...CHECKED_OUT], source);
  await patch(source);
  await writeFile(join(work, 'ui.h'), UI_HEADER);
  await writeFile(join(work, 'ui.cpp'), UI_SOURCE);

  const units = await translationUnits(source, work);
  const includes = [`-I${work}`, ...INCLUDES.map((path) => `-I${join(source, path)}`)];
  // Steps: the checkout, each unit, the link with the check of what came out.
  const total = units.length + 2;
  let done = 1;
  onProgress(done, total, 'source checked out');
  const compile = async (path: string, signal?: AbortSignal) => {
    const language = path.endsWith('.c') && !path.endsWith('sha1.c') ? ['-x', 'c'] : ['-x', 'c++', '-std=c++17'];
    await command(cxx, [...language, ...FLAGS, ...includes, '-c', path, '-o', objectOf(path, work)], work, signal);
  };
  await inParallel(units, async (path, signal) => {
    await compile(path, signal);
    done += 1;
    onProgress(done, total, basename(path));
  });

  for (const file of libraries.files) {
    // A copy on write where the file system has it: the CUDA backend is large.
    await copyFile(join(libraries.folder, file), join(folder, file), constants.COPYFILE_FICLONE);
  }
  const link = (paths: readonly string[]) =>
    command(
      cxx,
      [
        '-o',
        join(folder, 'llama-server'),
        ...paths.map((path) => objectOf(path, work)),
        ...linkFlags(libraries, folder),
      ],
      work,
    );
  try {
    await link(units);
  } catch (error) {
    // libllama-common has the HTTP library in it and shows its symbols, on the platforms we know. Elsewhere, our own copy.
    if (!(error instanceof Error) || !error.message.includes('httplib')) throw error;
    const http = join(source, 'vendor/cpp-httplib/httplib.cpp');
    await compile(http);
    await link([...units, http]);
  }
  await copyFile(join(source, 'LICENSE'), join(folder, 'LICENSE'));
  onProgress(total, total, 'linked');
}

/** What to compile: the server and its multimodal library file by file, the many small model files as one. */
async function translationUnits(source: string, work: string): Promise<string[]> {
  const list = async (path: string) =>
    (await readdir(join(source, path)))
      .filter((file) => file.endsWith('.cpp') && !NOT_PART.has(file))
      .sort()
      .map((file) => join(source, path, file));
  const models = join(work, 'models.cpp');
  await writeFile(models, (await list('tools/mtmd/models')).map((file) => `#include "${file}"\n`).join(''));
  const units = [
    ...(await list('tools/server')),
    ...(await list('tools/mtmd')),
    models,
    join(work, 'ui.cpp'),
    join(source, 'vendor/hash/hash.cpp'),
    ...HASHES.map((file) => join(source, 'vendor/hash', file)),
  ];
  // The longest first, so that no core waits for one of them in the end.
  const sizes = new Map(await Promise.all(units.map(async (path) => [path, (await readFile(path)).length] as const)));
  return units.sort((a, b) => (sizes.get(b) ?? 0) - (sizes.get(a) ?? 0));
}

function objectOf(path: string, work: string): string {
  const tag = createHash('sha256').update(dirname(path)).digest('hex').slice(0, 8);
  return join(work, `${basename(path)}.${tag}.o`);
}

function linkFlags(libraries: Libraries, folder: string): string[] {
  const mac = libraries.platform.startsWith('darwin');
  const linked = libraries.files.filter((file) =>
    /^lib(llama|llama-common|ggml|ggml-base)\.(.*\.)?(so|dylib)$/.test(file),
  );
  const rpath = mac ? '-Wl,-rpath,@loader_path' : '-Wl,-rpath,$ORIGIN';
  return [...linked.map((file) => join(folder, file)), rpath, '-lpthread', ...(mac ? [] : ['-ldl', '-s'])];
}

/**
 * Builds into a temporary folder beside `target` and puts it there in one step: whoever finds `target` finds all of it.
 * @param check throws when the result is of no use.
 */
export async function buildInto(
  target: string,
  libraries: Libraries,
  check: (executable: string, folder: string) => Promise<void>,
  onProgress?: BuildProgress,
): Promise<void> {
  const partial = `${target}.${process.pid}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  try {
    await buildLlamaServer(libraries, partial, onProgress);
    await check(join(partial, 'llama-server'), partial);
    const stamp = { recipe: RECIPE, release: libraries.release, packageVersion: libraries.packageVersion };
    await writeFile(join(partial, 'build.json'), `${JSON.stringify(stamp)}\n`);
    if (existsSync(target)) await rename(target, `${partial}.old`);
    await rename(partial, target);
  } finally {
    await rm(partial, { recursive: true, force: true });
    await rm(`${partial}.old`, { recursive: true, force: true });
  }
}
