export function cleanMarkdown(text: string): { markdown: string; repeated: boolean } {
  return { markdown: text.trim(), repeated: false };
}
