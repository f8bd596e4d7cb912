import { BatchFact, isCancelled, readFact } from '@batchmill/batch';
import { type Bucket, layout } from '@batchmill/bucket';

/** Why a batch's items are not wanted any more. */
export class BatchStopped extends Error {
  override readonly name = 'BatchStopped';
}

interface Watched {
  users: number;
  controller: AbortController;
  signal: AbortSignal;
  stop: () => void;
}

const LOOK_EVERY_MS = 1_000;

/**
 * Watches the batches this worker has shards of: one look a second at the bucket per batch, however many shards, so that
 * cancelling takes effect within about that, and expiry on time.
 */
export class Stops {
  readonly #bucket: Bucket;
  readonly #watched = new Map<string, Watched>();

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  /** A signal that fires when the batch is cancelled or expires; `release` when the shard is done. */
  watch(tenant: string, id: string): { signal: AbortSignal; release: () => void } {
    const watched = this.#watched.get(id) ?? this.#begin(tenant, id);
    watched.users++;
    return {
      signal: watched.signal,
      release: () => {
        if (--watched.users > 0) return;
        watched.stop();
        this.#watched.delete(id);
      },
    };
  }

  #begin(tenant: string, id: string): Watched {
    const controller = new AbortController();
    let expiresAt: number | null = null;
    let looking = false;
    const look = async () => {
      if (looking || controller.signal.aborted) return;
      looking = true;
      try {
        expiresAt ??= (await readFact(this.#bucket, layout.batch.batch(tenant, id), BatchFact))?.expires_at ?? null;
        if (expiresAt !== null && Date.now() >= expiresAt * 1000) controller.abort(new BatchStopped('expired'));
        else if (await isCancelled(this.#bucket, tenant, id)) controller.abort(new BatchStopped('cancelled'));
      } catch {
        // The bucket is away: the next look will tell.
      } finally {
        looking = false;
      }
    };
    const timer = setInterval(look, LOOK_EVERY_MS);
    void look();
    const watched = { users: 0, controller, signal: controller.signal, stop: () => clearInterval(timer) };
    this.#watched.set(id, watched);
    return watched;
  }
}
