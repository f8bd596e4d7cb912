import { Command } from 'commander';
import { CommandError } from './errors.ts';

type Define = (command: Command) => void;

/**
 * The commands as `--help` lists them. Options and work of one are loaded when it is the one asked for: most talk to a server, and
 * need nothing of what runs one.
 */
const COMMANDS: readonly (readonly [name: string, description: string, load: () => Promise<Define>])[] = [
  [
    'start',
    'run everything in this process: API, control, infer (settings: docs/configuration.md)',
    async () => (await import('./commands/start.ts')).startCommand,
  ],
  [
    'demo',
    'start everything embedded, run examples/mixed.jsonl (text, image, audio), show the answers',
    async () => (await import('./commands/demo.ts')).demoCommand,
  ],
  [
    'run',
    'run one batch from file to file, the whole service inside this process',
    async () => (await import('./commands/run.ts')).runCommand,
  ],
  [
    'submit',
    'send a batch to a server; with --watch, wait for it and fetch the results',
    async () => (await import('./commands/submit.ts')).submitCommand,
  ],
  [
    'estimate',
    'how many tokens, pages and minutes a file of requests is, and how long it would take; runs nothing',
    async () => (await import('./commands/estimate.ts')).estimateCommand,
  ],
  [
    'ocr',
    'read documents and pictures: a folder, one file or an s3:// prefix, to Markdown or JSON',
    async () => (await import('./commands/ocr.ts')).ocrCommand,
  ],
  [
    'transcribe',
    'write down what is said: a folder of recordings and videos, one file or an s3:// prefix',
    async () => (await import('./commands/transcribe.ts')).transcribeCommand,
  ],
  [
    'watch',
    'show a batch’s progress until it has ended',
    async () => (await import('./commands/batches.ts')).watchCommand,
  ],
  ['get', 'print a batch as JSON', async () => (await import('./commands/batches.ts')).getCommand],
  ['list', 'batches, newest first', async () => (await import('./commands/batches.ts')).listCommand],
  [
    'cancel',
    'stop a batch; what is finished is delivered',
    async () => (await import('./commands/batches.ts')).cancelCommand,
  ],
  [
    'retry',
    'make a batch of the lines that failed, expired or were cancelled; with --watch, wait for it',
    async () => (await import('./commands/retry.ts')).retryCommand,
  ],
  [
    'results',
    'what is finished of a batch so far, as JSONL: answers and errors',
    async () => (await import('./commands/batches.ts')).resultsCommand,
  ],
  [
    'delete',
    'delete a batch that has ended, with its results; its input file stays',
    async () => (await import('./commands/batches.ts')).deleteCommand,
  ],
  [
    'keys',
    'API keys, kept as hashes in the bucket (BUCKET_URL)',
    async () => (await import('./commands/keys.ts')).keysCommand,
  ],
  [
    'policy',
    'content policies: check the files, try them on labelled texts',
    async () => (await import('./commands/policy.ts')).policyCommand,
  ],
  [
    'audit',
    'what content policies masked or withheld, kept in the bucket',
    async () => (await import('./commands/audit.ts')).auditCommand,
  ],
  [
    'quarantine',
    'withheld content, encrypted to a key of yours',
    async () => (await import('./commands/quarantine.ts')).quarantineCommand,
  ],
  ['engine', 'the inference engine', async () => (await import('./commands/engine.ts')).engineCommand],
  ['models', 'model files', async () => (await import('./commands/models.ts')).modelsCommand],
];

/** Errors whose message is for people. By name, since those who throw them are loaded with their command only. */
const TOLD = new Set(['ConfigError', 'PolicyError', 'EngineError', 'HomeInUseError']);

const program = new Command('batchmill')
  .description('Batch inference for multimodal GGUF models, on a queue and a bucket')
  .showHelpAfterError();

const loaders = new Map<Command, () => Promise<Define>>();
for (const [name, description, load] of COMMANDS) loaders.set(program.command(name).description(description), load);

program.hook('preSubcommand', async (_, command) => {
  const define = await loaders.get(command)?.();
  define?.(command);
});

try {
  await program.parseAsync(askedFor(process.argv.slice(2)), { from: 'user' });
} catch (error) {
  process.stderr.write(`${await explain(error)}\n`);
  process.exitCode = 1;
}

/** `help submit` is `submit --help`, which knows its options. */
function askedFor(words: string[]): string[] {
  const [first, name, ...rest] = words;
  return first === 'help' && COMMANDS.some(([known]) => known === name) ? [`${name}`, ...rest, '--help'] : words;
}

/** Errors are said in plain words; with LOG_LEVEL=debug, those that are not made for people come with their stack. */
async function explain(error: unknown): Promise<string> {
  if (error instanceof CommandError) return error.message;
  const { APIError } = await import('openai');
  if (error instanceof APIError) {
    if (error.status === undefined)
      return 'The server does not answer. Is it running, and is --url (or BATCHMILL_URL) right?';
    return `${error.message}${error.requestID == null ? '' : ` (request ${error.requestID})`}`;
  }
  if (!(error instanceof Error)) return String(error);
  return process.env.LOG_LEVEL === 'debug' && !TOLD.has(error.name) ? (error.stack ?? error.message) : error.message;
}
