import { EngineError, type GenerateRequest, type Sampling } from '../port.ts';

/** Seeds are 32 bits; the largest means "random" to llama.cpp. */
const SEEDS = 0xffff_ffff;

/**
 * Sampling in llama-server's terms. All that it has defaults of its own for is named, so that nothing but the request
 * decides. Top-k comes first: of 262,144 candidates the later samplers see only few.
 */
export function samplingSettings(sampling: Sampling): Record<string, unknown> {
  const greedy = sampling.temperature <= 0;
  return {
    temperature: greedy ? 0 : sampling.temperature,
    top_k: greedy ? 1 : sampling.topK,
    top_p: sampling.topP,
    min_p: sampling.minP ?? 0,
    presence_penalty: sampling.presencePenalty ?? 0,
    frequency_penalty: sampling.frequencyPenalty ?? 0,
    repeat_penalty: sampling.repetitionPenalty ?? 1,
    samplers: ['penalties', 'top_k', 'top_p', 'min_p', 'temperature'],
    ...(sampling.seed === undefined ? {} : { seed: ((sampling.seed % SEEDS) + SEEDS) % SEEDS }),
    ...(sampling.logitBias === undefined ? {} : { logit_bias: logitBias(sampling.logitBias) }),
  };
}

function logitBias(biases: Record<string, number>): [number, number | false][] {
  // A strong model may overrule −100; `false` it may not.
  return Object.entries(biases).map(([token, bias]) => [Number(token), bias <= -100 ? false : bias]);
}

/** Bounds of a schema. Making a grammar of one far beyond them holds up every slot for seconds. */
const DEEPEST = 100;
const LONGEST = 500_000;

function checkSchema(schema: unknown): void {
  const tooDeep = (value: unknown, left: number): boolean =>
    typeof value === 'object' &&
    value !== null &&
    (left === 0 || Object.values(value).some((inner) => tooDeep(inner, left - 1)));
  if (tooDeep(schema, DEEPEST))
    throw new EngineError('bad_request', `The JSON schema is nested deeper than ${DEEPEST} levels`);
  if (JSON.stringify(schema).length > LONGEST) {
    throw new EngineError('bad_request', `The JSON schema is longer than ${LONGEST} characters`);
  }
}

/** The constraint on the answer's form, if any. @throws EngineError `bad_request` for a schema out of all proportion. */
export function formatSettings(format: GenerateRequest['format']): Record<string, unknown> {
  switch (format.type) {
    case 'text':
      return {};
    case 'json_object':
      return { json_schema: { type: 'object' } };
    case 'json_schema':
      checkSchema(format.schema);
      return { json_schema: format.schema };
  }
}
