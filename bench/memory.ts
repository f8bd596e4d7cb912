import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import type { z } from 'zod';

/**
 * Runs a script of ours in a process of its own and watches it and its children: what it prints as JSON, and the most
 * memory they took together, in bytes (what they share counts twice).
 */
export async function measured<T extends z.ZodType>(
  script: string,
  args: string[],
  schema: T,
): Promise<{ found: z.infer<T>; peak: number }> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let peak = 0;
  const watch = setInterval(async () => {
    peak = Math.max(peak, await memoryOf(child.pid ?? 0));
  }, 50);
  try {
    let answer = '';
    for await (const piece of child.stdout.setEncoding('utf8')) answer += piece;
    return { found: schema.parse(JSON.parse(answer)), peak };
  } finally {
    clearInterval(watch);
  }
}

/** Bytes resident of a process and its descendants; 0 of one that has ended. */
async function memoryOf(pid: number): Promise<number> {
  try {
    const resident = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
    let sum = Number(resident ?? 0) * 1_024;
    for (const thread of await readdir(`/proc/${pid}/task`)) {
      const children = (await readFile(`/proc/${pid}/task/${thread}/children`, 'utf8')).split(' ');
      for (const child of children) if (child !== '') sum += await memoryOf(Number(child));
    }
    return sum;
  } catch {
    return 0;
  }
}
