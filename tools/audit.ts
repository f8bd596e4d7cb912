/**
 * Asks the registry for known weaknesses of what is installed, by `npm audit`; run by CI. Ends with 1 if there are high or critical
 * ones. A registry that cannot be asked (offline, or a mirror without that service) is no verdict: it says so, and ends with 0.
 */
import { spawnSync } from 'node:child_process';

interface Report {
  metadata?: { vulnerabilities?: Record<string, number> };
  vulnerabilities?: Record<string, { severity?: string; range?: string }>;
  error?: { summary?: string };
  message?: string;
}

/** What a run of `npm audit --json` comes to. */
export function verdict(output: string): { ok: boolean; words: string } {
  let report: Report;
  try {
    report = JSON.parse(output);
  } catch {
    return { ok: true, words: 'NOT CHECKED: npm audit gave no report. Run it where the registry can be reached.' };
  }
  const counts = report.metadata?.vulnerabilities;
  if (counts === undefined) {
    const why = report.error?.summary || report.message || 'no reason given';
    return { ok: true, words: `NOT CHECKED: the registry could not be asked (${why}).` };
  }
  const bad = Object.entries(report.vulnerabilities ?? {}).filter(
    ([, { severity }]) => severity === 'high' || severity === 'critical',
  );
  const told = Object.entries(counts)
    .filter(([severity, count]) => severity !== 'total' && count > 0)
    .map(([severity, count]) => `${count} ${severity}`);
  const list = bad.map(([name, { severity, range }]) => `\n  ${name} ${range ?? ''}: ${severity}`);
  return {
    ok: bad.length === 0,
    words: `${told.length === 0 ? 'no known weaknesses' : told.join(', ')}${list.join('')}`,
  };
}

if (import.meta.main) {
  const { stdout } = spawnSync('npm', ['audit', '--json', '--omit=dev'], { encoding: 'utf8', timeout: 60_000 });
  const { ok, words } = verdict(stdout ?? '');
  process.stdout.write(`audit: ${words}\n`);
  process.exitCode = ok ? 0 : 1;
}
