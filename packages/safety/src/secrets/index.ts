import { lintSource } from '@secretlint/core';
import { creator } from '@secretlint/secretlint-rule-preset-recommend';
import type { Filter, Finding, Span } from '../port.ts';

/** What a secret needs at least: a long run without a space, an address with a user in it, or the head of a key in PEM. */
const WORTH_A_LOOK = /[A-Za-z0-9_/+=.-]{20}|:\/\/[^\s/@]{0,200}@|-----BEGIN/;

/**
 * API keys, access tokens, private keys and passwords in addresses, by the rules of secretlint's recommended preset
 * (https://github.com/secretlint/secretlint). Category `secrets`, severity 6; labels are the rules' names: `github_token`.
 */
export function secrets(): Filter {
  return {
    name: 'secrets',
    version: '1',
    categories: ['secrets'],
    exact: true,
    inspect: (segments) => Promise.all(segments.map(({ text }) => findSecrets(text))),
  };
}

async function findSecrets(text: string): Promise<Finding[]> {
  if (!WORTH_A_LOOK.test(text)) return [];
  const result = await lintSource({
    source: { filePath: 'answer', content: text, contentType: 'text', ext: '' },
    options: { config: { rules: [{ id: PRESET, rule: creator, options: {} }] }, noPhysicFilePath: true },
  });
  const spans = new Map<string, Span[]>();
  for (const { messageId, range } of result.messages) {
    const [start, end] = range;
    if (start >= end || end > text.length) continue;
    const label = labelOf(messageId);
    spans.set(label, [...(spans.get(label) ?? []), { start, end }]);
  }
  return [...spans].map(([label, found]) => ({
    category: 'secrets',
    severity: 6,
    score: 1,
    label,
    spans: apart(found),
  }));
}

const PRESET = '@secretlint/secretlint-rule-preset-recommend';

/** `GITHUB_TOKEN`, `BasicAuth` → `github_token`, `basic_auth` */
function labelOf(messageId: string): string {
  const words = messageId.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
  return words.replaceAll(/[^a-z0-9]+/g, '_').slice(0, 40) || 'secret';
}

/** In order, without overlaps: two rules may find the same. */
function apart(spans: Span[]): Span[] {
  const kept: Span[] = [];
  for (const span of spans.sort((a, b) => a.start - b.start)) {
    const last = kept.at(-1);
    if (last !== undefined && span.start < last.end) last.end = Math.max(last.end, span.end);
    else kept.push({ ...span });
  }
  return kept;
}
