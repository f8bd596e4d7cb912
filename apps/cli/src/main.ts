#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

// Types are stripped and code is compiled once: half of what a short command takes. Before anything else is imported, so it is a file
// of its own; in the home folder, where nobody else writes.
enableCompileCache(
  process.env.NODE_COMPILE_CACHE ??
    join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'batchmill', 'compiled'),
);
await import('./program.ts');
