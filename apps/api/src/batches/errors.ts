import { RequestError } from '@batchmill/contract';

/** What an id is answered with that does not exist, is another tenant's, or is no id at all. */
export function noBatch(id: string): RequestError {
  return new RequestError(404, `No batch found with id '${id}'.`, { param: 'batch_id', type: 'invalid_request_error' });
}
