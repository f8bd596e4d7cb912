import { pruneAudit, readAudit } from '@batchmill/safety';
import type { Command } from 'commander';
import { withConfiguredBucket } from '../bucket.ts';
import { checkDay } from './day.ts';

/** `audit export|prune`: works on the bucket, with no server running or many. */
export function auditCommand(audit: Command): void {
  audit
    .command('export')
    .description('print the log as JSONL')
    .option('--tenant <tenant>', 'of one tenant (default: all)')
    .option('--from <day>', 'from this day on, like 2026-11-25')
    .option('--to <day>', 'up to this day')
    .option('--batch <id>', 'of one batch')
    .action(async (options: { tenant?: string; from?: string; to?: string; batch?: string }) => {
      const { tenant, from, to, batch } = options;
      for (const day of [from, to]) if (day !== undefined) checkDay(day);
      await withConfiguredBucket(async (bucket) => {
        const query = {
          ...(tenant === undefined ? {} : { tenant }),
          ...(from === undefined ? {} : { from }),
          ...(to === undefined ? {} : { to }),
          ...(batch === undefined ? {} : { batchId: batch }),
        };
        for await (const record of readAudit(bucket, query)) process.stdout.write(`${JSON.stringify(record)}\n`);
      });
    });

  audit
    .command('prune')
    .description('delete the log of the days before one')
    .requiredOption('--before <day>', 'like 2026-01-01')
    .action(async ({ before }: { before: string }) => {
      checkDay(before);
      await withConfiguredBucket(async (bucket) => {
        process.stderr.write(`${await pruneAudit(bucket, before)} parts of the log are deleted.\n`);
      });
    });
}
