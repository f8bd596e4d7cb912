export { type Config, ConfigError, loadConfig } from './config.ts';
export { keepHeapSmall } from './heap.ts';
