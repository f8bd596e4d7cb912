import { RequestError } from '@batchmill/contract';

export function noEndpoint(id: string): RequestError {
  return new RequestError(404, `There is no webhook endpoint '${id}'.`, { code: 'webhook_endpoint_not_found' });
}

export function noDelivery(id: string): RequestError {
  return new RequestError(404, `There is no delivery '${id}' to this endpoint.`, {
    code: 'webhook_delivery_not_found',
  });
}
