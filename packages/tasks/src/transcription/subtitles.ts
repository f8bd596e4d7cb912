import { type Cue, cuesOf, type Timed } from './cues.ts';
import { widthOf } from './words.ts';

/** What is said, by whom. */
export interface Said extends Timed {
  speaker: string | null;
}

/**
 * SubRip, as VideoLAN's and FFmpeg's readers take it: number, times with a comma, lines, an empty line. There is no
 * escaping in SubRip; an arrow in a text, which might be taken for times, loses a dash. A speaker is named in the first line of a cue.
 */
export function writeSrt(said: readonly Said[]): string {
  return inOrder(said, (speaker) => (speaker === null ? 0 : widthOf(`${speaker}: `)))
    .map(({ cue, speaker }, i) => {
      const text = `${speaker === null ? '' : `${speaker}: `}${cue.lines.join('\n')}`.replaceAll('-->', '->');
      return `${i + 1}\n${time(cue.start, ',')} --> ${time(cue.end, ',')}\n${text}\n`;
    })
    .join('\n');
}

/**
 * WebVTT (https://www.w3.org/TR/webvtt1/): `&`, `<` and `>` are escaped, so a text can hold neither tags nor an arrow. A
 * speaker is a voice span, `<v name>`.
 */
export function writeVtt(said: readonly Said[]): string {
  const cues = inOrder(said, () => 0).map(({ cue, speaker }) => {
    const text = cue.lines.map(escapeText).join('\n');
    return `\n${time(cue.start, '.')} --> ${time(cue.end, '.')}\n${speaker === null ? '' : `<v ${escapeText(speaker)}>`}${text}\n`;
  });
  return `WEBVTT\n${cues.join('')}`;
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** All cues by when they begin. Those of two speakers may overlap, as their voices did. */
function inOrder(
  said: readonly Said[],
  nameColumns: (speaker: string | null) => number,
): { cue: Cue; speaker: string | null }[] {
  return said
    .flatMap((one) => cuesOf(one, nameColumns(one.speaker)).map((cue) => ({ cue, speaker: one.speaker })))
    .sort((a, b) => a.cue.start - b.cue.start);
}

/** `HH:MM:SS,mmm`; the hours take more digits if they need them. */
function time(ms: number, separator: ',' | '.'): string {
  const two = (n: number) => String(Math.floor(n)).padStart(2, '0');
  return `${two(ms / 3_600_000)}:${two((ms / 60_000) % 60)}:${two((ms / 1_000) % 60)}${separator}${String(ms % 1_000).padStart(3, '0')}`;
}
