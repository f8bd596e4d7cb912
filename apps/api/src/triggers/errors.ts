import { RequestError } from '@batchmill/contract';

export function noTrigger(id: string): RequestError {
  return new RequestError(404, `There is no trigger '${id}'.`, { code: 'trigger_not_found' });
}
