import { fileTypeFromBuffer } from 'file-type';

/** What a file is by its first bytes. `type` is its media type, or `null` if it is unknown. */
export async function mediaKind(bytes: Uint8Array): Promise<{ kind: 'image' | 'audio' | null; type: string | null }> {
  const type = (await fileTypeFromBuffer(bytes))?.mime ?? null;
  if (type === null) return { kind: null, type };
  if (type.startsWith('image/')) return { kind: 'image', type };
  // Recorders put sound alone into WebM and MP4 too.
  const sound = type.startsWith('audio/') || type === 'video/webm' || type === 'video/mp4';
  return { kind: sound ? 'audio' : null, type };
}
