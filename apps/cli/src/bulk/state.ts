import { access, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CommandError } from '../errors.ts';
import { lockHome } from '../lock.ts';
import { replaceFile } from './replace-file.ts';

/** What went wrong with a source, or with one page or stretch of it. */
export const Problem = z.object({
  code: z.string().nullable(),
  message: z.string(),
  /** `page 3`, `1:05–1:33`; not there if it is the whole source. */
  at: z.string().optional(),
});
export type Problem = z.infer<typeof Problem>;

/** What is known of one source, by its path. */
const SourceState = z.object({
  /** Where its outputs go, without suffix (`outputNames`). */
  name: z.string(),
  /** A copy at the service, of this version of the source. */
  upload: z.object({ fileId: z.string(), version: z.string(), expiresAt: z.number() }).optional(),
  /** It is an item of the batch that is under way, in this version and with these options. */
  sent: z.object({ version: z.string(), options: z.string() }).optional(),
  /**
   * How it came out last, for which version and options. `outputs` are what there is of it below the output folder: where
   * it failed, what an earlier run made.
   */
  result: z
    .object({
      version: z.string(),
      options: z.string(),
      failed: z.boolean(),
      outputs: z.array(z.string()),
      problems: z.array(Problem),
    })
    .optional(),
});
export type SourceState = z.infer<typeof SourceState>;

const State = z.object({
  version: z.literal(1),
  command: z.string(),
  /** `Found.root`. */
  root: z.string(),
  /** The batch that is under way: at the service with this URL, or (`null`) at one of our own in the folder of this state. */
  batch: z.object({ id: z.string(), service: z.string().nullable() }).nullable(),
  sources: z.record(z.string(), SourceState),
});
export type State = z.infer<typeof State>;

const SAVE_EVERY_MS = 2_000;

/**
 * What is done and under way, kept in `<out>/.batchmill/state.json`, so that the same command run again goes on. Written
 * whole and put in place, so it is never half. One process at a time has it.
 */
export class StateFile {
  readonly state: State;
  /** The folder of the state, for what else must be kept. */
  readonly folder: string;
  readonly out: string;
  readonly #unlock: () => Promise<void>;
  #savedAt = 0;
  /** Saves wait for each other: they all write the same file. */
  #saving: Promise<void> = Promise.resolve();

  private constructor(out: string, state: State, unlock: () => Promise<void>) {
    this.out = out;
    this.folder = join(out, '.batchmill');
    this.state = state;
    this.#unlock = unlock;
  }

  /**
   * Opens the state of an output folder, making both where there are none.
   * @throws CommandError if the folder holds the outputs of another command or of other sources, or the state cannot be read.
   * @throws HomeInUseError if another process works on this folder.
   */
  static async open(out: string, command: string, root: string): Promise<StateFile> {
    const folder = join(out, '.batchmill');
    await mkdir(folder, { recursive: true });
    const unlock = await lockHome(folder);
    try {
      const state = (await read(join(folder, 'state.json'))) ?? { version: 1, command, root, batch: null, sources: {} };
      if (state.command !== command || state.root !== root)
        throw new CommandError(
          `'${out}' holds what 'batchmill ${state.command}' made of ${state.root}. Give another folder with --out.`,
        );
      return new StateFile(out, state, unlock);
    } catch (error) {
      await unlock();
      throw error;
    }
  }

  /** Writes it down. */
  async save(): Promise<void> {
    this.#savedAt = Date.now();
    const write = () => replaceFile(join(this.folder, 'state.json'), JSON.stringify(this.state));
    this.#saving = this.#saving.then(write, write);
    await this.#saving;
  }

  /** Writes it down unless that was done within the last seconds: for changes that would cost little to do again. */
  async saveSoon(): Promise<void> {
    if (Date.now() - this.#savedAt > SAVE_EVERY_MS) await this.save();
  }

  async close(): Promise<void> {
    await this.#unlock();
  }

  /** True if the outputs of this version with these options are there. */
  async isDone(path: string, version: string, options: string): Promise<boolean> {
    const result = this.state.sources[path]?.result;
    if (result === undefined || result.version !== version || result.options !== options) return false;
    if (result.failed) return false;
    for (const output of result.outputs)
      if (
        !(await access(join(this.out, output)).then(
          () => true,
          () => false,
        ))
      )
        return false;
    return true;
  }
}

async function read(path: string): Promise<State | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
  try {
    return State.parse(JSON.parse(text));
  } catch (error) {
    throw new CommandError(`${path} cannot be read: delete it to begin anew, or give another folder with --out.`, {
      cause: error,
    });
  }
}
