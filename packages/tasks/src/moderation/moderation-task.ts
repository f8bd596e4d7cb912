import { invalid, ModerationRequest, moderationTexts, NO_USAGE, newId, RequestError } from '@batchmill/contract';
import type { Task } from '../port.ts';

/** `/v1/moderations`: texts in, what the filters of the batch's policy find out. Nothing of the texts is in the answer. */
export function createModerationTask(): Task {
  return {
    endpoint: '/v1/moderations',
    inPieces: false,
    async run(body, context) {
      const request = ModerationRequest.safeParse(body);
      if (!request.success) throw invalid(request.error, body);
      const texts = moderationTexts(request.data);
      if (texts.every((text) => text === ''))
        throw new RequestError(400, "There is no text in 'input'.", { code: 'invalid_value', param: 'input' });
      const { model, results } = await context.moderate(texts);
      return {
        segments: [],
        usage: NO_USAGE,
        finish: () => ({ id: newId('modr-'), model, results }),
      };
    },
  };
}
