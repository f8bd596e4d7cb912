import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Item, lineId } from '@batchmill/batch';
import { progressUnit, RequestError } from '@batchmill/contract';
import type { GenerateRequest, Generation } from '@batchmill/engine';
import type { SelfVerdict } from '@batchmill/safety';
import type { Piece, TaskContext } from '@batchmill/tasks';
import { metrics, seconds } from '@batchmill/telemetry';
import { z } from 'zod';
import { type Clock, within } from './clock.ts';
import type { Claim } from './fair-order.ts';
import type { ItemJudge } from './item-judge.ts';
import type { ItemPieces } from './pieces.ts';
import type { ItemDeps, ItemScope } from './run-item.ts';
import { sparingBystanders } from './suspects.ts';

/** The item, or a piece of it, took longer than it may. */
export class ItemTimeout extends RequestError {
  constructor(limitMs: number, what = 'item') {
    super(504, `The ${what} took longer than ${Math.round(limitMs / 1000)} s and was stopped.`, {
      code: 'item_timeout',
    });
  }
}

export interface ItemContext extends TaskContext {
  /** Stops pieces that are still under way, removes what the item left on disk. To be called when it has ended, however. */
  clear(): Promise<void>;
}

/** One for all items: making an error costs as much as reading a short answer. */
const ENDED = new Error('the item has ended');

/** What a task sees of the worker while it does one item. `signal` fires when the item is to stop. */
export function itemContext(
  deps: ItemDeps,
  scope: ItemScope,
  item: Item,
  pieces: ItemPieces,
  judge: ItemJudge,
  clock: Clock,
  outer: AbortSignal,
): ItemContext {
  const { capabilities } = deps.engine;
  // When one piece fails the item, its others are not to go on.
  const own = new AbortController();
  const onOuter = () => own.abort(outer.reason);
  outer.addEventListener('abort', onOuter, { once: true });
  if (outer.aborted) onOuter();
  const { signal } = own;
  let folder: Promise<string> | null = null;
  return {
    tenant: scope.tenant,
    models: scope.models,
    image: capabilities.image,
    audio: capabilities.audio,
    generate: async (request, ofPiece = signal) => {
      const generation = await generate(deps, scope.claim, judge.asking(request), ofPiece, (made, ms) =>
        deps.speedometer.called(scope.lane, item, made, ms),
      );
      judge.answered(generation, ofPiece);
      return generation;
    },
    openFile: scope.openFile,
    openObject: scope.openObject,
    folder: () => (folder ??= mkdtemp(join(tmpdir(), 'batchmill-item-'))),
    piece: async (name, piece) => {
      const kept = readKept(pieces.get(name), piece);
      if (kept !== null) {
        judge.recall(kept.verdicts);
        return kept.value;
      }
      clock.hold();
      try {
        const done = await deps.pieceTurns.take(scope.claim, signal);
        try {
          const tooLong = () => new ItemTimeout(deps.itemTimeoutMs, `piece '${name}'`);
          let verdicts: readonly SelfVerdict[] = [];
          const value = await within(deps.itemTimeoutMs, signal, tooLong, async (ofPiece) => {
            const made = await piece.work(ofPiece);
            verdicts = judge.verdictsOf(ofPiece);
            return made;
          });
          // What the filters would take out of the answer must not lie in the bucket either, nor of what it was made of.
          const clean = await judge.clean([...piece.texts(value), ...verdicts.map(({ text }) => text)], signal);
          const units = piece.units(value);
          pieces.keep(name, { value, verdicts } satisfies Kept, units, clean);
          if (progressUnit(item.url) === 'pages') metrics.pages.inc(units);
          else metrics.audioSeconds.inc(units);
          return value;
        } finally {
          done();
        }
      } finally {
        clock.release();
      }
    },
    length: (units) => pieces.length(units),
    moderate: (texts) => judge.moderate(texts, signal),
    untimed: async (work) => {
      clock.hold();
      try {
        return await work();
      } finally {
        clock.release();
      }
    },
    pieces: deps.pieceTurns.limit,
    signal,
    clear: async () => {
      outer.removeEventListener('abort', onOuter);
      own.abort(ENDED);
      if (folder === null) return;
      await rm(await folder, { recursive: true, force: true }).catch((error: unknown) => {
        deps.log.warn({ err: error, item: lineId(scope.batchId, item.position) }, "an item's folder stays behind");
      });
    },
  };
}

/** What is kept of a piece: its value, and what the model said of its own generations in it. */
const Kept = z.strictObject({
  value: z.unknown(),
  verdicts: z.array(z.strictObject({ text: z.string(), unsafe: z.number() })).readonly(),
});
type Kept = z.infer<typeof Kept>;

/** A kept value as the task reads it; `null` if there is none, or one that an older version wrote otherwise. */
function readKept<T>(kept: unknown, piece: Piece<T>): { value: T; verdicts: readonly SelfVerdict[] } | null {
  if (kept === undefined) return null;
  try {
    const { value, verdicts } = Kept.parse(kept);
    return { value: piece.read(value), verdicts };
  } catch {
    return null;
  }
}

function generate(
  deps: ItemDeps,
  claim: Claim,
  request: GenerateRequest,
  signal: AbortSignal,
  onCalled: (generation: Generation, ms: number) => void,
): Promise<Generation> {
  const call = async () => {
    const taken = seconds();
    const generation = await deps.engine.generate(request, signal);
    onCalled(generation, taken() * 1000);
    return generation;
  };
  const crashed = () =>
    new RequestError(500, 'The engine crashed on this item, twice. It was not tried again.', { code: 'engine_crash' });
  return sparingBystanders(deps.slots, claim, call, signal, crashed);
}
