import type { Category } from '../taxonomy.ts';
import { demo } from './formats/demo.ts';
import { graniteGuardian } from './formats/granite-guardian.ts';
import { llamaGuard3, llamaGuard4 } from './formats/llama-guard.ts';
import { qwen3Guard } from './formats/qwen3-guard.ts';
import { shieldGemma } from './formats/shield-gemma.ts';
import type { GuardFormat } from './port.ts';

/** How guard models are asked: the names a policy may use. */
export const GUARD_FORMATS = [
  'llama_guard_3',
  'llama_guard_4',
  'shield_gemma',
  'granite_guardian',
  'qwen3_guard',
  'batchmill_demo',
] as const;
export type GuardFormatName = (typeof GUARD_FORMATS)[number];

export const FORMATS: Readonly<Record<GuardFormatName, GuardFormat>> = {
  llama_guard_3: llamaGuard3,
  llama_guard_4: llamaGuard4,
  shield_gemma: shieldGemma,
  granite_guardian: graniteGuardian,
  qwen3_guard: qwen3Guard,
  batchmill_demo: demo,
};

/** What each of them can find. */
export const GUARD_CATEGORIES: Readonly<Record<GuardFormatName, readonly Category[]>> = {
  llama_guard_3: llamaGuard3.categories,
  llama_guard_4: llamaGuard4.categories,
  shield_gemma: shieldGemma.categories,
  granite_guardian: graniteGuardian.categories,
  qwen3_guard: qwen3Guard.categories,
  batchmill_demo: demo.categories,
};
