import type { GuardFormat } from '../port.ts';

/**
 * The model that ships with Batchmill (models/demo), asked as it was trained: for trying a guard out, and for tests. It answers
 * like Qwen3Guard, knows short sentences of a few kinds, and is no judge of anything else.
 */
export const demo: GuardFormat = {
  categories: ['violence', 'illicit', 'privacy', 'self_harm', 'unsafe'],
  marks: [],
  questions: (_, answer) => [
    {
      prompt: [
        '<bos><|turn>user\nSafety check: ',
        { text: answer.trim() },
        '<turn|>\n<|turn>model\n<|channel>thought\n<channel|>Safety:',
      ],
      verdicts: { safe: ' Safe', unsafe: ' Unsafe', doubtful: ' Controversial' },
      category: null,
    },
  ],
  list: {
    opening: '\nCategories:',
    between: ',',
    words: {
      ' Violent': 'violence',
      ' Non-violent Illegal Acts': 'illicit',
      ' PII': 'privacy',
      ' Self-Harm': 'self_harm',
    },
  },
};
