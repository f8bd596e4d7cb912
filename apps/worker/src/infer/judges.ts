import type { Bucket } from '@batchmill/bucket';
import type { JudgeRequest } from '@batchmill/engine';
import { DEFAULT_POLICY, type Filter, type Policy, policyHash, readPolicy } from '@batchmill/safety';

/** What the answers of a batch are judged by. */
export interface BatchSafety {
  policy: Policy;
  /** Of the policy: every answer names it. */
  hash: string;
  filters: readonly Filter[];
  /** What the model is asked about each of its own generations; `null` where the policy does not want it. */
  selfJudge: JudgeRequest | null;
}

type Filters = Pick<BatchSafety, 'filters' | 'selfJudge'>;
type Build = (policy: Policy) => Filters | Promise<Filters>;

/** Policies with their filters ready. Building the automaton of a long word list takes a moment; they are few. */
const MOST_KEPT = 64;

/** The judges of a worker, one for each policy that its batches name. */
export class Judges {
  readonly #bucket: Bucket;
  readonly #build: Build;
  readonly #builtIn: Policy;
  readonly #ready = new Map<string, Promise<BatchSafety>>();

  constructor(bucket: Bucket, build: Build, builtIn: Policy = DEFAULT_POLICY) {
    this.#bucket = bucket;
    this.#build = build;
    this.#builtIn = builtIn;
  }

  /**
   * The judge of a policy by its hash; `null`, of a batch from before there were policies: the built-in one.
   * @throws ObjectMissingError, BucketUnavailableError: then nothing of the batch is to be answered.
   */
  of(hash: string | null): Promise<BatchSafety> {
    const key = hash ?? '';
    const ready = this.#ready.get(key);
    if (ready !== undefined) return ready;
    const building = this.#make(hash);
    this.#ready.set(key, building);
    building.catch(() => this.#ready.delete(key));
    const oldest = this.#ready.keys().next();
    if (this.#ready.size > MOST_KEPT && !oldest.done) this.#ready.delete(oldest.value);
    return building;
  }

  async #make(hash: string | null): Promise<BatchSafety> {
    const policy = hash === null ? this.#builtIn : await readPolicy(this.#bucket, hash);
    return { policy, hash: hash ?? policyHash(policy), ...(await this.#build(policy)) };
  }
}
