import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Capabilities,
  type ClassifyRequest,
  type Engine,
  EngineError,
  type GenerateRequest,
  type Generation,
} from '@batchmill/engine';
import { annotate, innerSpan, type Logger, metrics, seconds } from '@batchmill/telemetry';
import { abortable } from './abortable.ts';

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Keeps one engine process alive: when it dies, another is started, after a pause that grows while it keeps dying.
 * Requests that were in flight have failed with `engine_died` by then; ones that come meanwhile wait.
 */
export class EngineHost {
  readonly #start: () => Promise<Engine>;
  readonly #log: Logger;
  /** As the log calls it. */
  readonly #what: string;
  #engine: Promise<Engine>;
  #capabilities: Capabilities;
  #closed = false;
  #up = true;
  /** How often it died since we started. */
  deaths = 0;
  /** Tokens that each slot held at the end of its last answer. */
  readonly #held = new Map<number, number>();

  private constructor(start: () => Promise<Engine>, log: Logger, engine: Engine, what: string) {
    this.#start = start;
    this.#log = log;
    this.#what = what;
    this.#capabilities = engine.capabilities;
    this.#engine = Promise.resolve(engine);
    this.#watch(engine);
  }

  /** Starts the first engine. Throws its EngineError if it cannot start: a wrong model is to be told at once. */
  static async open(start: () => Promise<Engine>, log: Logger, what = 'engine'): Promise<EngineHost> {
    return new EngineHost(start, log, await start(), what);
  }

  get capabilities(): Capabilities {
    return this.#capabilities;
  }

  async generate(request: GenerateRequest, signal: AbortSignal): Promise<Generation> {
    const generation = await innerSpan('engine.generate', {}, async () => {
      const made = await this.#call((engine) => engine.generate(request, signal), signal);
      annotate(spanAttributes(made));
      return made;
    });
    this.#measure(generation);
    return generation;
  }

  classify(request: ClassifyRequest, signal: AbortSignal): Promise<Record<string, number>> {
    return this.#call((engine) => {
      if (engine.classify === undefined) throw new EngineError('unsupported', 'this engine does not classify');
      return engine.classify(request, signal);
    }, signal);
  }

  async #call<T>(work: (engine: Engine) => Promise<T>, signal: AbortSignal): Promise<T> {
    const engine = await abortable(this.#engine, signal, stopped);
    const taken = seconds();
    let outcome = 'answered';
    try {
      return await work(engine);
    } catch (error) {
      outcome = error instanceof EngineError ? error.code : 'engine_failed';
      // Calls fail a moment before the engine is known to have ended. Whoever tries again must not meet the dead one: that
      // would pass for a second death.
      if (error instanceof EngineError && error.code === 'engine_died') await engine.ended;
      throw error;
    } finally {
      metrics.engineCall.observe({ engine: this.#what, outcome }, taken());
    }
  }

  /** Tokens in the KV cache of all slots, as far as the engine says which slot answered, and room for how many there is. */
  cache(): { tokens: number; capacity: number } {
    const { slots, contextTokens } = this.#capabilities;
    let tokens = 0;
    for (const held of this.#held.values()) tokens += held;
    return { tokens, capacity: slots * contextTokens };
  }

  /** Whether it is at work, and not being started again. */
  get up(): boolean {
    return this.#up;
  }

  /** Throws if the engine is down or does not answer. */
  async health(): Promise<void> {
    const up = await Promise.race([this.#engine, sleep(0).then(() => null)]);
    if (up === null) throw new EngineError('engine_died', 'the engine is being restarted');
    await up.health();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const engine = await Promise.race([this.#engine, sleep(0).then(() => null)]);
    await engine?.close();
  }

  #measure({ usage, pace }: Generation): void {
    metrics.tokens.inc({ kind: 'prompt' }, usage.promptTokens);
    metrics.tokens.inc({ kind: 'cached' }, usage.cachedTokens);
    metrics.tokens.inc({ kind: 'generated' }, usage.completionTokens);
    metrics.tokens.inc({ kind: 'reasoning' }, usage.reasoningTokens);
    if (pace === undefined) return;
    this.#held.set(pace.slot, usage.promptTokens + usage.completionTokens);
    if (pace.prefillTokens > 0 && pace.prefillMs > 0)
      metrics.prefillSpeed.observe((pace.prefillTokens / pace.prefillMs) * 1000);
    // The first token comes with the prompt.
    if (pace.decodeTokens > 1 && pace.decodeMs > 0)
      metrics.decodeSpeed.observe((pace.decodeTokens / pace.decodeMs) * 1000);
  }

  #watch(engine: Engine): void {
    void engine.ended.then((death) => {
      if (death === null || this.#closed) return;
      this.deaths++;
      this.#up = false;
      metrics.engineRestarts.inc({ engine: this.#what });
      this.#held.clear();
      this.#log.error(
        { code: death.code, signal: death.signal, stderr: death.stderr },
        `the ${this.#what} died; restarting it`,
      );
      this.#engine = this.#restart();
      // Whoever waits for it hears of a failure; without a waiter it must not count as unhandled.
      this.#engine.catch(() => {});
    });
  }

  async #restart(): Promise<Engine> {
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      await sleep(pause);
      if (this.#closed) throw new EngineError('engine_died', 'the worker is stopping');
      try {
        const engine = await this.#start();
        if (this.#closed) {
          await engine.close();
          throw new EngineError('engine_died', 'the worker is stopping');
        }
        this.#capabilities = engine.capabilities;
        this.#up = true;
        this.#watch(engine);
        this.#log.info({ engine: engine.capabilities.engine }, `the ${this.#what} is up again`);
        return engine;
      } catch (error) {
        if (this.#closed) throw error;
        this.#log.error({ err: error, retryInMs: pause * 2 }, `the ${this.#what} does not start`);
      }
    }
  }
}

function spanAttributes({ usage, finishReason }: Generation) {
  return {
    'gen_ai.usage.input_tokens': usage.promptTokens,
    'gen_ai.usage.output_tokens': usage.completionTokens,
    'gen_ai.response.finish_reasons': [finishReason],
    'batchmill.cached_tokens': usage.cachedTokens,
  };
}

const stopped = () => new EngineError('aborted', 'aborted');
