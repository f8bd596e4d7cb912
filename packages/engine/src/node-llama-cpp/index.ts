export { type NodeLlamaCpp, type NodeLlamaCppOptions, startNodeLlamaCpp } from './node-llama-cpp.ts';
