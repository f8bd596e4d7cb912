export * from './layout.ts';
export * from './open.ts';
export * from './port.ts';
