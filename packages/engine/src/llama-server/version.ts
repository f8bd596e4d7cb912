import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A llama-server that starts. */
export interface LlamaServerVersion {
  /** As it names itself: `0.4.0-dev`, or `b6123` before llama.cpp had versions. */
  version: string;
  /** Why it should not be used, in a sentence; null when nothing is known against it. */
  concern: string | null;
}

/**
 * Asks an executable for its version.
 * @throws Error when it does not run on this machine.
 */
export async function llamaServerVersion(path: string): Promise<LlamaServerVersion> {
  const { stdout, stderr } = await run(path, ['--version'], { timeout: 30_000 });
  return readVersion(`${stdout}\n${stderr}`);
}

/**
 * llama.cpp attended to pictures of Gemma 4 E2B and E4B in the wrong way ("repeats one line") until pull request 28335 of
 * 3 September 2026. Version 0.4.0 is the first we know to have it right. Older builds have no version, only a number.
 */
export function readVersion(output: string): LlamaServerVersion {
  const named = /version:\s*(\d+)\.(\d+)\.(\d+)(\S*)/.exec(output);
  if (named !== null) {
    const [, major, minor, patch, rest] = named;
    const version = `${major}.${minor}.${patch}${rest ?? ''}`;
    const old = Number(major) === 0 && Number(minor) < 4;
    return { version, concern: old ? concern(version) : null };
  }
  const numbered = /version:\s*(\d+)/.exec(output);
  const version = numbered?.[1] === undefined ? 'unknown' : `b${numbered[1]}`;
  return { version, concern: concern(version) };
}

function concern(version: string): string {
  return `its version (${version}) is older than llama.cpp 0.4.0: Gemma 4 E2B and E4B read pictures badly with it`;
}
