import { BatchFact, isCancelled, readFact } from '@batchmill/batch';
import { type Bucket, layout } from '@batchmill/bucket';

/** Why a batch's items are not wanted any more. */
export class BatchStopped extends Error {
  override readonly name = 'BatchStopped';
}

interface Watched {
  users: number;
  controller: AbortController;
  batch: Promise<BatchFact | null>;
  end: () => void;
}

/** One user's look at a batch. */
export interface Watch {
  /** The batch, `null` if there is none. When it is here, `signal` has fired if its items are not wanted any more. */
  batch: Promise<BatchFact | null>;
  /** Fires when the batch is cancelled, within about a second, or expires, on time. */
  signal: AbortSignal;
  /** To be called when the shard is done. */
  release(): void;
}

const LOOK_EVERY_MS = 1_000;

/** Watches the batches this worker has shards of: one look a second at the bucket per batch, however many shards. */
export class Stops {
  readonly #bucket: Bucket;
  readonly #watched = new Map<string, Watched>();

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  watch(tenant: string, id: string): Watch {
    const watched = this.#watched.get(id) ?? this.#begin(tenant, id);
    watched.users++;
    return {
      batch: watched.batch,
      signal: watched.controller.signal,
      release: () => {
        if (--watched.users > 0) return;
        watched.end();
        // Another may have begun anew, after the bucket did not answer.
        if (this.#watched.get(id) === watched) this.#watched.delete(id);
      },
    };
  }

  #begin(tenant: string, id: string): Watched {
    const controller = new AbortController();
    const timers: NodeJS.Timeout[] = [];
    const lookForCancel = async () => {
      if (!controller.signal.aborted && (await isCancelled(this.#bucket, tenant, id)))
        controller.abort(new BatchStopped('cancelled'));
    };
    const begin = async () => {
      const [batch] = await Promise.all([
        readFact(this.#bucket, layout.batch.batch(tenant, id), BatchFact),
        lookForCancel(),
      ]);
      if (batch === null || watched.users === 0) return batch;
      const expire = () => {
        if (Date.now() >= batch.expires_at * 1000) controller.abort(new BatchStopped('expired'));
      };
      expire();
      // A timer for the moment itself; the looks see to clocks that are set.
      timers.push(setTimeout(expire, Math.max(0, batch.expires_at * 1000 - Date.now())));
      let looking = false;
      const look = async () => {
        expire();
        if (looking) return;
        looking = true;
        // The bucket is away: the next look will tell.
        await lookForCancel().catch(() => {});
        looking = false;
      };
      timers.push(setInterval(look, LOOK_EVERY_MS));
      return batch;
    };
    const watched: Watched = {
      users: 0,
      controller,
      batch: Promise.resolve(null),
      end: () => {
        for (const timer of timers) clearTimeout(timer);
      },
    };
    this.#watched.set(id, watched);
    watched.batch = Promise.resolve().then(begin);
    watched.batch.catch(() => {
      if (this.#watched.get(id) === watched) this.#watched.delete(id);
    });
    return watched;
  }
}
