#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { cacheFolder } from './cache.ts';

// Types are stripped and code is compiled once: half of what a short command takes. Before anything else is imported, so it is a file
// of its own.
enableCompileCache(process.env.NODE_COMPILE_CACHE ?? cacheFolder('compiled'));
await import('./program.ts');
