import { RequestError } from '@batchmill/contract';
import { bodyLimit } from 'hono/body-limit';

/** Refuses a JSON body over `maxBytes`, by its declared length or while it is read. */
export function jsonLimit(maxBytes: number) {
  return bodyLimit({
    maxSize: maxBytes,
    onError: () => {
      throw new RequestError(413, `The body is larger than the ${maxBytes} bytes allowed.`, {
        code: 'content_too_large',
      });
    },
  });
}
