import { DEFAULT_SAMPLING, type Engine } from '@batchmill/engine';

const LONGEST_MS = 120_000;

/**
 * One answered token: after it the weights are in memory and the kernels compiled, so a worker that says it is ready can answer.
 * @throws EngineError if the model cannot answer even that
 */
export async function warmUp(engine: Engine): Promise<void> {
  await engine.generate(
    {
      messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }] }],
      thinking: false,
      sampling: { ...DEFAULT_SAMPLING, temperature: 0 },
      maxTokens: 1,
      stop: [],
      format: { type: 'text' },
    },
    AbortSignal.timeout(LONGEST_MS),
  );
}
