export { type Answer, type AnswerOptions, countReasoningTokens, parseAnswer } from './answer.ts';
export { type ControlTokenGuard, controlTokenGuard } from './control-tokens.ts';
export type { Media } from './messages.ts';
export { rawPrompt } from './raw.ts';
export { type PromptRequest, type RenderedPrompt, type RenderOptions, renderPrompt } from './render.ts';
export { type ChatTemplate, chatTemplate } from './template.ts';
