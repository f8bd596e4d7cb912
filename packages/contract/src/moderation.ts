import { z } from 'zod';

/** Most texts in one request. */
const MOST_TEXTS = 1_000;

const TextPart = z.object({ type: z.literal('text'), text: z.string() });

/** As OpenAI's: one text, several, or parts; pictures are not judged here. */
export const ModerationRequest = z
  .object({
    input: z.union([z.string(), z.array(z.string()).min(1).max(MOST_TEXTS), z.array(TextPart).min(1).max(MOST_TEXTS)]),
    model: z.string().optional(),
  })
  .meta({ id: 'ModerationRequest' });
export type ModerationRequest = z.infer<typeof ModerationRequest>;

/** The texts of a request: of parts, all together as one. */
export function moderationTexts({ input }: ModerationRequest): string[] {
  if (typeof input === 'string') return [input];
  const texts = input.filter((one) => typeof one === 'string');
  if (texts.length === input.length) return texts;
  return [input.map((part) => (typeof part === 'string' ? part : part.text)).join('\n')];
}

export const ModerationResult = z.object({
  flagged: z.boolean(),
  categories: z.record(z.string(), z.boolean()),
  category_scores: z.record(z.string(), z.number()),
  category_applied_input_types: z.record(z.string(), z.array(z.string())),
  /** Extension: what was found, in our own categories, and where. */
  findings: z.array(
    z.object({
      category: z.string(),
      severity: z.number().int(),
      score: z.number(),
      label: z.string(),
      /** In UTF-16 units; empty: the text as a whole. */
      spans: z.array(z.object({ start: z.number().int(), end: z.number().int() })),
      filter: z.string(),
      version: z.string(),
    }),
  ),
  /** Extension: the categories that were looked for. Of others, `false` means nothing. */
  looked_for: z.array(z.string()),
});
export type ModerationResult = z.infer<typeof ModerationResult>;

export const ModerationResponse = z
  .object({ id: z.string(), model: z.string(), results: z.array(ModerationResult) })
  .meta({ id: 'ModerationResponse' });
export type ModerationResponse = z.infer<typeof ModerationResponse>;
