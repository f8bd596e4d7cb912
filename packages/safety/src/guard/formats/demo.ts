import type { GuardFormat } from '../port.ts';

/**
 * The model that ships with Batchmill (models/demo), asked as it was trained: for trying a guard out, and for tests. It knows a
 * few sentences and is no judge of anything else.
 */
export const demo: GuardFormat = {
  categories: ['unsafe'],
  questions: (_, answer) => [
    {
      prompt: ['<bos><|turn>user\nSafety check: ', { text: answer }, '<turn|>\n<|turn>model\nSafety:'],
      unsafe: [' Unsafe', ' Controversial'],
      safe: [' Safe'],
      category: 'unsafe',
    },
  ],
  which: null,
};
