import { RequestError } from '@batchmill/contract';

/** A recording that cannot be read. `message` tells the sender what is wrong with it. */
export const badAudio = (message: string) => new RequestError(400, message, { code: 'invalid_audio' });
/** It is no recording, or one nothing here can decode. */
export const unsupported = (message: string) => new RequestError(400, message, { code: 'unsupported_audio' });
export const tooLong = (maxSeconds: number) =>
  new RequestError(400, `The recording is longer than ${maxSeconds} s; cut it into shorter ones.`, {
    code: 'audio_too_long',
  });
