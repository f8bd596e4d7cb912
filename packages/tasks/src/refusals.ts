/** How requests are refused, the same for every task. */
import { RequestError } from '@batchmill/contract';

/** A parameter with a value that cannot be. */
export function wrong(param: string, why: string): RequestError {
  return new RequestError(400, `Invalid value for '${param}': ${why}.`, { code: 'invalid_value', param });
}

/** @throws RequestError 404 `model_not_found` unless the held model goes by this name. */
export function checkModel(model: string, served: readonly string[]): void {
  if (model === 'default' || served.includes(model)) return;
  throw new RequestError(404, `The model '${model}' is not served here; served is '${served[0] ?? 'default'}'.`, {
    code: 'model_not_found',
    param: 'model',
  });
}

/** The same error, with the parameter it is about if it is the request's fault. */
export function about(param: string, error: unknown): unknown {
  if (!(error instanceof RequestError) || error.param !== null || error.status !== 400) return error;
  return new RequestError(error.status, `${param}: ${error.message}`, {
    ...(error.code === null ? {} : { code: error.code }),
    type: error.type,
    param,
    cause: error,
  });
}
