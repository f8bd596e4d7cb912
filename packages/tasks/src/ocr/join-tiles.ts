export interface TileText {
  text: string;
  /** The first lines may repeat the last of the tile before. */
  overlaps: boolean;
}

export function joinTiles(texts: readonly TileText[]): string {
  return texts.map(({ text }) => text).join('\n');
}
