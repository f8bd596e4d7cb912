/** Seeded random numbers, the same on every machine: two runs with one seed write the same file, byte for byte. */
export interface Random {
  /** Uniform, 0 to 2³² − 1. */
  uint32(): number;
  /** Normal distribution of the given standard deviation, mean 0. */
  normal(deviation: number): number;
}

/** xoshiro128** (Blackman and Vigna, https://prng.di.unimi.it/), seeded through splitmix32. */
export function random(seed: number): Random {
  let mix = seed >>> 0;
  const splitmix = () => {
    mix = (mix + 0x9e3779b9) >>> 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
  let a = splitmix();
  let b = splitmix();
  let c = splitmix();
  let d = splitmix();

  const uint32 = () => {
    const times5 = Math.imul(b, 5);
    const result = Math.imul((times5 << 7) | (times5 >>> 25), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result;
  };

  let spare: number | null = null;
  // Box and Muller's method gives two at a time.
  const normal = (deviation: number) => {
    if (spare !== null) {
      const value = spare * deviation;
      spare = null;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log((uint32() + 1) / 4294967297));
    const angle = (uint32() / 4294967296) * 2 * Math.PI;
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle) * deviation;
  };

  return { uint32, normal };
}
