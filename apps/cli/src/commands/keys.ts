import type { Bucket } from '@batchmill/bucket';
import { loadConfig } from '@batchmill/config';
import { anyKeys, createKey, isLive, type KeyQuota, listKeys, revokeKey } from '@batchmill/keys';
import { loadPolicies } from '@batchmill/safety';
import type { Command } from 'commander';
import { withConfiguredBucket } from '../bucket.ts';
import { CommandError } from '../errors.ts';

interface KeyOptions {
  name: string;
  tenant: string;
  policy?: string;
  operator?: boolean;
  days?: string;
  batches?: string;
  items?: string;
  mb?: string;
  rps?: string;
}

const DEFAULT = '(default: by QUOTA_…; "any": no limit)';

/** `keys create|ensure|list|revoke`: works on the bucket (BUCKET_URL, or the embedded one), with no server running or many. */
export function keysCommand(keys: Command): void {
  keys
    .command('create')
    .description('make a key; it is shown this once')
    .requiredOption('--name <name>', 'what it is for')
    .option('--tenant <tenant>', 'whose data it opens: tenants never see each other', 'default')
    .option('--policy <name>', 'content policy that everything done with it is judged by too (POLICIES)')
    .option('--operator', "opens what is the operator's (metrics, scaling, queues) and no tenant's data", false)
    .option('--days <n>', 'days until it expires (default: never)')
    .option('--batches <n>', `most batches that have not ended ${DEFAULT}`)
    .option('--items <n>', `most items of these batches ${DEFAULT}`)
    .option('--mb <n>', `most MiB of their input files ${DEFAULT}`)
    .option('--rps <n>', `most requests a second ${DEFAULT}`)
    .action(async (options: KeyOptions) => {
      const { policies } = loadConfig().safety;
      if (options.policy !== undefined) (await loadPolicies(policies)).resolve(options.tenant, [options.policy]);
      await withConfiguredBucket(async (bucket) => {
        await create(bucket, options);
      });
    });

  keys
    .command('ensure')
    .description('make a key if there has never been one, for the first start of a service; else do nothing')
    .option('--name <name>', 'what it is for', 'first key')
    .option('--tenant <tenant>', 'whose data it opens', 'default')
    .action(async (options: { name: string; tenant: string }) => {
      await withConfiguredBucket(async (bucket) => {
        // Says what is wrong with the bucket, if anything; and its first write makes the bucket on servers that do that.
        await bucket.check();
        if (await anyKeys(bucket)) process.stderr.write('There are API keys already: none was made.\n');
        else await create(bucket, options);
      });
    });

  keys
    .command('list')
    .description('keys and their state')
    .action(async () => {
      await withConfiguredBucket(async (bucket) => {
        for (const key of await listKeys(bucket)) {
          const state = key.revoked_at !== null ? 'revoked' : isLive(key) ? 'live' : 'expired';
          process.stdout.write(
            `${key.id}  ${state.padEnd(7)}  ${key.operator ? '(operator)' : key.tenant}  …${key.hint}  ${key.name}${told(key.quota)}\n`,
          );
        }
      });
    });

  keys
    .command('revoke')
    .description('make a key useless; servers notice within seconds')
    .argument('<key-id>')
    .action(async (id: string) => {
      await withConfiguredBucket(async (bucket) => {
        const record = await revokeKey(bucket, id);
        if (record === null) throw new CommandError(`There is no key '${id}'. See: batchmill keys list`);
        process.stderr.write(`Key ${id} is revoked.\n`);
      });
    });
}

async function create(bucket: Bucket, options: KeyOptions): Promise<void> {
  const days = options.days === undefined ? null : Number(options.days);
  if (days !== null && !(days > 0)) throw new CommandError('--days takes a number above 0.');
  const { key, record } = await createKey(bucket, {
    tenant: options.tenant,
    name: options.name,
    ...(options.policy === undefined ? {} : { policy: options.policy }),
    ...(options.operator === true ? { operator: true } : {}),
    quota: quotaOf(options),
    ...(days === null ? {} : { expiresAt: Math.floor(Date.now() / 1000 + days * 86_400) }),
  });
  const whose = record.operator ? 'operators' : `tenant '${record.tenant}'`;
  process.stderr.write(`Key ${record.id} for ${whose}. Keep it: it cannot be shown again.\n`);
  process.stdout.write(`${key}\n`);
}

function quotaOf({ batches, items, mb, rps }: KeyOptions): KeyQuota {
  const megabytes = most('mb', mb);
  return {
    batches: most('batches', batches),
    items: most('items', items),
    bytes: megabytes == null ? megabytes : megabytes * 2 ** 20,
    requests_per_second: most('rps', rps),
  };
}

/** The quota of a key's own, as `keys list` shows it. */
function told({ batches, items, bytes, requests_per_second: rps }: KeyQuota): string {
  const parts = [
    [batches, 'batches'],
    [items, 'items'],
    [bytes == null ? bytes : bytes / 2 ** 20, 'MiB'],
    [rps, 'requests a second'],
  ].flatMap(([most, of]) => (most === undefined ? [] : [`${most ?? 'any'} ${of}`]));
  return parts.length === 0 ? '' : `  (${parts.join(', ')})`;
}

/** `undefined`: as the settings say; `null`: no limit. */
function most(option: string, text: string | undefined): number | null | undefined {
  if (text === undefined) return undefined;
  if (text === 'any') return null;
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new CommandError(`--${option} takes a whole number above 0, or "any".`);
  return Number(text);
}
