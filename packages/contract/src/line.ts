import { z } from 'zod';

/**
 * One line of a batch's input file. The body is checked when its item runs: a wrong body is that line's
 * error, never the batch's.
 */
export const InputLine = z.object({
  custom_id: z.string().min(1).max(512),
  method: z.literal('POST'),
  url: z.string(),
  body: z.record(z.string(), z.unknown()),
});
export type InputLine = z.infer<typeof InputLine>;

/** One line of an output or error file. */
export interface OutputLine {
  id: string;
  custom_id: string;
  /** `null` for what never became a request (cancelled, expired). */
  response: { status_code: number; request_id: string; body: unknown } | null;
  error: { code: string; message: string } | null;
}
