/** A bucket URL that cannot be used. `message` says what is wrong with it and what one looks like. */
export class BucketUrlError extends Error {
  override readonly name = 'BucketUrlError';
}

/** Keeps secrets that someone put into a URL by mistake out of messages. */
export function withoutSecrets(url: string): string {
  return url
    .replace(/\/\/[^/?#]*@/, '//***@')
    .replace(/([?&][^=&]*(?:key|secret|token|password)[^=&]*=)[^&#]*/gi, '$1***');
}
