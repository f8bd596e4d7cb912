import type { Category } from '../taxonomy.ts';
import { demo } from './formats/demo.ts';
import { graniteGuardian } from './formats/granite-guardian.ts';
import { graniteGuardian33 } from './formats/granite-guardian-3-3.ts';
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
  'granite_guardian_3_3',
  'qwen3_guard',
  'batchmill_demo',
] as const;
export type GuardFormatName = (typeof GUARD_FORMATS)[number];

export const FORMATS: Readonly<Record<GuardFormatName, GuardFormat>> = {
  llama_guard_3: llamaGuard3,
  llama_guard_4: llamaGuard4,
  shield_gemma: shieldGemma,
  granite_guardian: graniteGuardian,
  granite_guardian_3_3: graniteGuardian33,
  qwen3_guard: qwen3Guard,
  batchmill_demo: demo,
};

/** What a format can find. */
export function guardCategories(format: GuardFormatName): readonly Category[] {
  return FORMATS[format].categories;
}
