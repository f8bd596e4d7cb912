import { z } from 'zod';

/** 0 safe, 2 low, 4 medium, 6 high, as Azure AI Content Safety counts; odd numbers lie between. */
export const Severity = z.number().int().min(0).max(6);
export type Severity = z.infer<typeof Severity>;

/**
 * What content can be found to be. The names are those of `TAXONOMY`, or of rules of a policy's own: the form is the same.
 */
export const Category = z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, 'must be 1 to 40 of a-z, 0-9 and _');
export type Category = z.infer<typeof Category>;

export interface Hazard {
  /** In one sentence, for people who write policies. */
  what: string;
  /** Hazards of MLCommons AILuminate 1.0, by their codes. */
  ailuminate: readonly string[];
  /** Categories of OpenAI's moderation endpoint. */
  openai: readonly string[];
  /** Azure's four harm categories. */
  azure: 'hate' | 'self_harm' | 'sexual' | 'violence' | null;
  /** Hazard numbers of Llama Guard 3 and 4 (`S1` …). */
  llamaGuard: readonly string[];
}

/** Azure's four, which have a severity on the wire; all others are `detected` or not. */
export const GRADED: ReadonlySet<Category> = new Set(['hate', 'self_harm', 'sexual', 'violence']);

/** Sexual content that involves minors: looked for under every policy, and always withheld. */
export const SEXUAL_MINORS = 'sexual_minors';

/**
 * One table for four taxonomies. Sources: MLCommons AILuminate Assessment Standard 1.0 (hazard codes), OpenAI's moderation
 * guide (`omni-moderation-latest`), Azure OpenAI's content filtering concepts, the model cards of Llama Guard 3 and 4.
 */
export const TAXONOMY = {
  hate: {
    what: 'Demeans or attacks people for what they are: origin, religion, sex, disability.',
    ailuminate: ['hte'],
    openai: ['hate', 'hate/threatening'],
    azure: 'hate',
    llamaGuard: ['S10'],
  },
  harassment: {
    what: 'Insults, bullies or threatens a person.',
    ailuminate: [],
    openai: ['harassment', 'harassment/threatening'],
    azure: 'hate',
    llamaGuard: [],
  },
  self_harm: {
    what: 'Encourages or instructs suicide, self-injury or eating disorders.',
    ailuminate: ['ssh'],
    openai: ['self-harm', 'self-harm/intent', 'self-harm/instructions'],
    azure: 'self_harm',
    llamaGuard: ['S11'],
  },
  sexual: {
    what: 'Erotic or pornographic content about adults.',
    ailuminate: ['sxc_prn'],
    openai: ['sexual'],
    azure: 'sexual',
    llamaGuard: ['S12'],
  },
  sexual_minors: {
    what: 'Sexual content that involves minors. Always looked for, always withheld.',
    ailuminate: ['cse'],
    openai: ['sexual/minors'],
    azure: 'sexual',
    llamaGuard: ['S4'],
  },
  sex_crimes: {
    what: 'Helps with sexual assault, trafficking, sexual harassment.',
    ailuminate: ['src'],
    openai: [],
    azure: 'sexual',
    llamaGuard: ['S3'],
  },
  violence: {
    what: 'Depicts, praises or helps with violence against people or animals.',
    ailuminate: ['vcr'],
    openai: ['violence', 'violence/graphic', 'illicit/violent'],
    azure: 'violence',
    llamaGuard: ['S1'],
  },
  weapons: {
    what: 'Helps to make chemical, biological, radiological, nuclear or explosive weapons.',
    ailuminate: ['iwp'],
    openai: [],
    azure: 'violence',
    llamaGuard: ['S9'],
  },
  illicit: {
    what: 'Helps with crimes that are not violent: fraud, drugs, hacking.',
    ailuminate: ['ncr'],
    openai: ['illicit'],
    azure: null,
    llamaGuard: ['S2', 'S14'],
  },
  privacy: {
    what: "Lays open a person's private life, or helps to.",
    ailuminate: ['prv'],
    openai: [],
    azure: null,
    llamaGuard: ['S7'],
  },
  personal_data: {
    what: 'E-mail addresses, phone numbers, bank accounts, cards, national ids.',
    ailuminate: ['prv'],
    openai: [],
    azure: null,
    llamaGuard: ['S7'],
  },
  secrets: {
    what: 'API keys, access tokens, private keys, passwords in addresses.',
    ailuminate: [],
    openai: [],
    azure: null,
    llamaGuard: [],
  },
  defamation: {
    what: 'False statements of fact that hurt the name of a real person.',
    ailuminate: ['dfm'],
    openai: [],
    azure: null,
    llamaGuard: ['S5'],
  },
  intellectual_property: {
    what: 'Reproduces protected works, or helps to infringe rights in them.',
    ailuminate: ['ipv'],
    openai: [],
    azure: null,
    llamaGuard: ['S8'],
  },
  specialized_advice: {
    what: 'Medical, legal or financial advice that only a professional should give.',
    ailuminate: ['spc_fin', 'spc_hlt', 'spc_lgl'],
    openai: [],
    azure: null,
    llamaGuard: ['S6'],
  },
  elections: {
    what: 'False information about when, where and how to vote.',
    ailuminate: ['spc_ele'],
    openai: [],
    azure: null,
    llamaGuard: ['S13'],
  },
  profanity: {
    what: 'Swear words.',
    ailuminate: [],
    openai: [],
    azure: null,
    llamaGuard: [],
  },
  unsafe: {
    what: 'Unsafe, without saying in which way: what a judge with two verdicts says.',
    ailuminate: [],
    openai: [],
    azure: null,
    llamaGuard: [],
  },
} as const satisfies Record<string, Hazard>;

export type KnownCategory = keyof typeof TAXONOMY;
export const KNOWN_CATEGORIES = Object.keys(TAXONOMY).filter((name): name is KnownCategory => name in TAXONOMY);
