import { ensureLlamaServer } from '@batchmill/engine';

/** Runs once before all tests: finds llama-server, or builds it. */
export default async function setup(): Promise<void> {
  let said = 0;
  await ensureLlamaServer({
    onProgress: (done, total, message) => {
      if (done < total && Date.now() - said < 5_000) return;
      said = Date.now();
      console.log(`llama-server, built once: ${message} (${done} of ${total})`);
    },
  });
}
