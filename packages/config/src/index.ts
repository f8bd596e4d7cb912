export { type Config, ConfigError, loadConfig, SHIPPED } from './config.ts';
export { keepHeapSmall } from './heap.ts';
