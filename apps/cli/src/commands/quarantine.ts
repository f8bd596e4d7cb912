import { readFile, writeFile } from 'node:fs/promises';
import {
  IdentityError,
  identitiesOf,
  listQuarantine,
  pruneQuarantine,
  quarantineKeys,
  readQuarantine,
} from '@batchmill/safety/quarantine';
import type { Command } from 'commander';
import { withConfiguredBucket } from '../bucket.ts';
import { CommandError } from '../errors.ts';
import { checkDay } from './day.ts';

/** `quarantine keygen|list|read|prune`: works on the bucket, with no server running or many. */
export function quarantineCommand(quarantine: Command): void {
  quarantine
    .command('keygen')
    .description('make a pair of keys: keep the identity, set QUARANTINE_RECIPIENT to the recipient')
    .option('-o, --out <file>', 'where the identity goes, a new file that only you can read (default: print it)')
    .action(async ({ out }: { out?: string }) => {
      const { identity, recipient } = await quarantineKeys();
      // The form of age-keygen.
      const file = `# created: ${new Date().toISOString()}\n# public key: ${recipient}\n${identity}\n`;
      if (out !== undefined)
        await writeFile(out, file, { flag: 'wx', mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
          throw new CommandError(
            error.code === 'EEXIST' ? `'${out}' is there already: an identity is never overwritten.` : error.message,
          );
        });
      process.stderr.write(
        `QUARANTINE_RECIPIENT=${recipient}\nThe identity reads what is in quarantine. Keep it away from the workers${out === undefined ? ':' : `: ${out}`}\n`,
      );
      if (out === undefined) process.stdout.write(`${identity}\n`);
    });

  quarantine
    .command('list')
    .description('items of which something was withheld and kept')
    .option('--tenant <tenant>', 'of one tenant (default: all)')
    .action(async ({ tenant }: { tenant?: string }) => {
      await withConfiguredBucket(async (bucket) => {
        for await (const entry of listQuarantine(bucket, tenant))
          process.stdout.write(`${entry.tenant} ${entry.batchId} ${entry.position}\n`);
      });
    });

  quarantine
    .command('read')
    .description('print what was withheld of an item, as JSON; more than once if the item was done again')
    .argument('<tenant>')
    .argument('<batch-id>')
    .argument('<position>', 'of the item in its batch, from 0')
    .requiredOption('--identity <file>', 'file with the identity of keygen, or of age-keygen')
    .action(async (tenant: string, batchId: string, position: string, options: { identity: string }) => {
      if (!/^\d{1,8}$/.test(position)) throw new CommandError(`'${position}' is no position: it counts from 0.`);
      const file = await readFile(options.identity, 'utf8').catch(() => {
        throw new CommandError(`There is no file '${options.identity}'.`);
      });
      await withConfiguredBucket(async (bucket) => {
        try {
          const entry = { tenant, batchId, position: Number(position) };
          const contents = await readQuarantine(bucket, entry, identitiesOf(file));
          if (contents.length === 0) throw new CommandError('Nothing of this item is in quarantine.');
          for (const content of contents) process.stdout.write(`${JSON.stringify(content, null, 2)}\n`);
        } catch (error) {
          throw error instanceof IdentityError ? new CommandError(error.message, { cause: error }) : error;
        }
      });
    });

  quarantine
    .command('prune')
    .description('delete what was put in before a day')
    .requiredOption('--before <day>', 'like 2026-01-01')
    .action(async ({ before }: { before: string }) => {
      checkDay(before);
      await withConfiguredBucket(async (bucket) => {
        process.stderr.write(`${await pruneQuarantine(bucket, before)} items are deleted.\n`);
      });
    });
}
