import { hash } from 'node:crypto';

/**
 * A set of strings that remembers 128 bits of SHA-256 of each: 16 bytes per string at rest instead of the string, so
 * that a million `custom_id`s take 32 MB. Two different strings collide with probability below n² / 2¹²⁸.
 */
export class Fingerprints {
  #slots = new BigUint64Array(2 * 1024);
  #capacity = 1024;
  #size = 0;

  /** Adds `text`; `false` if it was there already. */
  add(text: string): boolean {
    const digest = hash('sha256', text, 'buffer');
    // 0 marks a free slot, so a first half of 0 (one in 2⁶⁴) is stored as 1.
    const high = digest.readBigUInt64LE(0) || 1n;
    const low = digest.readBigUInt64LE(8);
    if (this.#size * 2 >= this.#capacity) this.#grow();
    return this.#insert(high, low);
  }

  has(text: string): boolean {
    const digest = hash('sha256', text, 'buffer');
    return this.#slot(digest.readBigUInt64LE(0) || 1n, digest.readBigUInt64LE(8)).taken;
  }

  get size(): number {
    return this.#size;
  }

  #insert(high: bigint, low: bigint): boolean {
    const { i, taken } = this.#slot(high, low);
    if (taken) return false;
    this.#slots[2 * i] = high;
    this.#slots[2 * i + 1] = low;
    this.#size++;
    return true;
  }

  /** Where these two are, or where they belong. */
  #slot(high: bigint, low: bigint): { i: number; taken: boolean } {
    const mask = this.#capacity - 1;
    for (let i = Number(high & BigInt(mask)); ; i = (i + 1) & mask) {
      const there = this.#slots[2 * i];
      if (there === 0n) return { i, taken: false };
      if (there === high && this.#slots[2 * i + 1] === low) return { i, taken: true };
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#capacity *= 2;
    this.#slots = new BigUint64Array(2 * this.#capacity);
    this.#size = 0;
    for (let i = 0; i < old.length; i += 2) {
      const high = old[i];
      const low = old[i + 1];
      if (high !== undefined && low !== undefined && high !== 0n) this.#insert(high, low);
    }
  }
}
