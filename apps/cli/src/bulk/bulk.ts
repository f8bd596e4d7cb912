import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { windowSeconds } from '@batchmill/contract';
import type { ServerOptions } from '../client.ts';
import { CommandError } from '../errors.ts';
import { createProgress, type Progress } from '../progress.ts';
import { followBatch, submitBatch } from './batch.ts';
import { collect } from './collect.ts';
import { type Connection, serviceOf, withService } from './connect.ts';
import type { Job } from './job.ts';
import { outputNames } from './names.ts';
import { report } from './report.ts';
import { type Found, findSources, type Source } from './sources.ts';
import { StateFile } from './state.ts';
import { StoppedError } from './stop.ts';
import { customId, inParallel } from './upload.ts';
import { uploadSources } from './upload-sources.ts';

export interface BulkOptions extends ServerOptions {
  /** Output folder. */
  out: string;
  /** Completion window of the batch: `24h`, `3d`. */
  window: string;
  /** Leave an unfinished batch alone and begin a new one. */
  forget: boolean;
}

/** What a run works with. */
interface Run {
  job: Job;
  file: StateFile;
  found: Found;
  /** Changes when what is asked of the model, or the form of the outputs, does. */
  options: string;
  window: string;
  progress: Progress;
}

/** Answers without which an item was never looked at: run again, it will be sent again at once. */
const NOT_TRIED: ReadonlySet<string> = new Set(['batch_cancelled', 'batch_expired', 'no_answer']);
const DELETES_AT_A_TIME = 8;

/**
 * Makes one batch of all sources at `where` that have no outputs yet, sees it through, and writes the outputs. Run again
 * after whatever ended it, it goes on: a batch that is under way is taken up, and only what is missing or has changed is sent.
 * Sets the exit code: 0 if everything is there, 1 if something failed, 130 if it was stopped.
 * @throws CommandError if there is nothing to do at `where`, or the output folder belongs to something else.
 */
export async function runBulk(job: Job, where: string, options: BulkOptions): Promise<void> {
  const out = resolve(options.out);
  const found = await findSources(where, { extensions: job.extensions, called: job.called, except: out });
  const file = await StateFile.open(out, job.command, found.root);
  const progress = createProgress();
  const { state } = file;
  try {
    if (options.forget) state.batch = null;
    const service = serviceOf(options);
    if (state.batch !== null && state.batch.service !== service)
      throw new CommandError(
        `The batch ${state.batch.id} for '${options.out}' is under way ${state.batch.service === null ? 'in a service of its own' : `at ${state.batch.service}`}. ` +
          `Run this ${state.batch.service === null ? 'without --url' : `with --url ${state.batch.service}`} to go on with it, or with --forget to begin a new one.`,
      );
    nameSources(state.sources, found.sources, job);
    const run: Run = { job, file, found, options: optionsHash(job), window: options.window, progress };
    if (state.batch !== null || (await pending(run, new Set())).length > 0) {
      const s3Prefix = where.startsWith('s3://') ? found.root : null;
      await withService({ ...options, folder: file.folder, s3Prefix, progress }, (connection) => work(connection, run));
    }
    await report(file, found, options.out);
  } catch (error) {
    progress.end();
    await file.save();
    if (!(error instanceof StoppedError)) throw error;
    process.stderr.write(`${howToGoOn(file, serviceOf(options))}\n`);
    process.exitCode = 130;
  } finally {
    await file.close();
  }
}

async function work(connection: Connection, run: Run): Promise<void> {
  const { file, progress } = run;
  const tried = new Set<string>();
  const under = file.state.batch;
  if (under !== null) {
    progress.end(`Going on with ${under.id}.`);
    for (const [path, source] of Object.entries(file.state.sources)) if (source.sent !== undefined) tried.add(path);
    await seeThrough(connection, run, under.id);
  }
  const sources = await pending(run, tried);
  if (sources.length > 0) await seeThrough(connection, run, await send(connection, run, sources));
}

/** The sources that have no outputs in their present version, but for those that were tried already and failed. */
async function pending({ file, found, options }: Run, tried: ReadonlySet<string>): Promise<Source[]> {
  const sources: Source[] = [];
  for (const source of found.sources) {
    if (await file.isDone(source.path, source.version, options)) continue;
    const result = file.state.sources[source.path]?.result;
    const same = result?.version === source.version && result.options === options;
    const looked = result?.problems.every(({ code }) => code === null || !NOT_TRIED.has(code)) === true;
    if (!(tried.has(source.path) && same && looked)) sources.push(source);
  }
  return sources;
}

/** Uploads what is on this machine and creates the batch. Gives its id. */
async function send(connection: Connection, run: Run, sources: Source[]): Promise<string> {
  const { job, file, progress, options, window } = run;
  const { client, stop } = connection;
  // A server that is not there, or a key that opens nothing, is told before anything is read and sent.
  await client.models.list({ maxRetries: 1, signal: stop });
  const seconds = Math.min(windowSeconds(window) + 7 * 86_400, 30 * 86_400);
  const places = await uploadSources(client, file, sources, { seconds, signal: stop, progress, options });
  const { state } = file;
  for (const source of Object.values(state.sources)) delete source.sent;
  const lines: string[] = [];
  for (const { path, version } of sources) {
    const [known, at] = [state.sources[path], places.get(path)];
    if (known === undefined || at === undefined) continue;
    known.sent = { version, options };
    const body = { ...job.body, ...job.sourceOf(at) };
    lines.push(JSON.stringify({ custom_id: customId(path), method: 'POST', url: job.endpoint, body }));
  }
  if (lines.length === 0) throw new CommandError(`None of ${sources.length} files could be read.`);
  const metadata = { command: job.command, source: run.found.root.slice(0, 512) };
  const id = await submitBatch(client, lines, { endpoint: job.endpoint, window, metadata, signal: stop });
  state.batch = { id, service: connection.service };
  await file.save();
  const at = connection.service === null ? '' : ` at ${connection.service}`;
  progress.end(`${id}${at}: ${lines.length} ${lines.length === 1 ? 'file' : 'files'}.`);
  return id;
}

/** Waits for the batch, writes what it made, and forgets it. */
async function seeThrough(connection: Connection, run: Run, id: string): Promise<void> {
  const { job, file, progress } = run;
  const { client, stop } = connection;
  // A server that is not there, or a key that opens nothing, is told before anything is read and sent.
  await client.models.list({ maxRetries: 1, signal: stop });
  const batch = await followBatch(client, id, { progress, signal: stop });
  if (batch === null) {
    progress.warn(`The batch ${id} is no longer at the service. What is missing is sent again.`);
  } else {
    progress.update('writing the results');
    await collect(client, batch, job, file);
    progress.end();
  }
  for (const source of Object.values(file.state.sources)) delete source.sent;
  file.state.batch = null;
  await file.save();
  // A service of our own ends here with all it has.
  if (connection.service !== null) await removeCopies(connection, file);
}

/** Deletes the copies of sources whose outputs are written. Those that failed keep theirs for the next run, until they expire. */
async function removeCopies({ client }: Connection, file: StateFile): Promise<void> {
  const over = Object.values(file.state.sources).filter(
    ({ upload, result }) => upload !== undefined && result?.failed === false && result.version === upload.version,
  );
  await inParallel(over, DELETES_AT_A_TIME, async (source) => {
    if (source.upload === undefined) return;
    // It expires by itself otherwise.
    await client.files.delete(source.upload.fileId).catch(() => {});
    delete source.upload;
  });
  await file.save();
}

/** Gives every source its output name, those of earlier runs the one they have. */
function nameSources(known: StateFile['state']['sources'], sources: Source[], job: Job): void {
  const kept = new Map(Object.entries(known).map(([path, { name }]) => [path, name]));
  const paths = sources.map(({ path }) => path);
  for (const [path, name] of outputNames(paths, job.suffixes, kept)) known[path] ??= { name };
}

function optionsHash({ endpoint, body, form }: Job): string {
  return createHash('sha256')
    .update(JSON.stringify([endpoint, body, form]))
    .digest('hex')
    .slice(0, 16);
}

function howToGoOn({ state: { batch } }: StateFile, service: string | null): string {
  if (service === null || batch === null) return 'Stopped. Run the same command again to go on.';
  return (
    `Stopped watching. ${batch.id} goes on at ${service}: run the same command again to fetch what it makes, ` +
    `or stop it with 'batchmill cancel ${batch.id}'.`
  );
}
