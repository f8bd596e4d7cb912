import { z } from 'zod';
import { Endpoint } from './batch.ts';

/** What a scaler is told of a lane: `GET /v1/autoscale/{lane}`. */
export const Autoscale = z
  .object({
    object: z.literal('autoscale'),
    lane: z.enum(['text', 'media', 'all']),
    workers_wanted: z.number().int().describe('Infer workers needed to meet every deadline; 0: none need run'),
    workers: z.number().int().nullable().describe('Infer workers that are there; null if the queue does not say'),
    batches: z.number().int().describe('Open batches with work in this lane'),
    items: z.number().int().describe('Items that wait or are being done'),
    tokens: z.number().int().describe('Estimated tokens of these'),
    pages: z.number().int().describe('Estimated pages of documents'),
    audio_seconds: z.number().int().describe('Estimated seconds of recordings'),
    work_seconds: z.number().int().describe('Seconds that one worker would take for it'),
    earliest_deadline: z.number().int().nullable().describe('Unix seconds'),
    measured: z.boolean().describe('Whether workers have measured their speed; else it is guessed'),
  })
  .meta({ id: 'Autoscale' });
export type Autoscale = z.infer<typeof Autoscale>;

export const EstimateCreate = z
  .strictObject({ input_file_id: z.string(), endpoint: Endpoint })
  .meta({ id: 'EstimateCreate' });
export type EstimateCreate = z.infer<typeof EstimateCreate>;

/** What a batch of a file would take: `POST /v1/batches/estimate`. */
export const BatchEstimate = z
  .object({
    object: z.literal('batch.estimate'),
    input_file_id: z.string(),
    endpoint: Endpoint,
    items: z.number().int(),
    wrong_lines: z.number().int().describe('Lines for which the batch would fail; create it to see which'),
    tokens: z.number().int().describe('Estimated tokens: prompts, pictures, sound and answers together'),
    pages: z.number().int().describe('Estimated pages of documents'),
    audio_minutes: z.number().describe('Estimated minutes of recordings'),
    measured: z
      .boolean()
      .describe('Whether workers have measured their speed at such work; else the times are guesses'),
    now: z
      .object({
        workers: z.number().int().nullable().describe('Infer workers that are there; null if the queue does not say'),
        seconds: z.number().int().describe('From now to its end with those (with one, if there is none)'),
      })
      .describe('At current scale, behind the work that waits'),
    full: z
      .object({ workers: z.number().int(), seconds: z.number().int() })
      .describe('At full scale, with the time that workers take to start'),
    waiting_seconds: z.number().int().describe('Part of `now` that is work accepted before'),
  })
  .meta({ id: 'BatchEstimate' });
export type BatchEstimate = z.infer<typeof BatchEstimate>;
