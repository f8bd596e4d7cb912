// `node --import` this: says on standard error, when the process ends, which packages it has loaded.
import { registerHooks } from 'node:module';

const loaded = new Set();
registerHooks({
  load(url, context, next) {
    const name =
      /\/node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*\/node_modules\/)/.exec(url)?.[1] ??
      /\/(?:packages|apps)\/[^/]+/.exec(url)?.[0].slice(1);
    if (name !== undefined) loaded.add(name);
    return next(url, context);
  },
});
process.on('exit', () => process.stderr.write(`\nloaded: ${JSON.stringify([...loaded])}\n`));
