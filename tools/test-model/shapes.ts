import type { ProjectorShape } from './projector.ts';
import type { TextShape } from './text-model.ts';

export interface ModelSize {
  text: TextShape;
  projector: ProjectorShape;
}

/** `tiny` for tests, `middle` (about 200 million weights) for benchmarks, `e2b` with the dimensions of the real model. */
export const SIZES = {
  tiny: {
    text: {
      name: 'batchmill-test-tiny',
      type: 'F16',
      vocabulary: 416,
      context: 8192,
      embedding: 64,
      layers: 4,
      sharedLayers: 2,
      fullEvery: 2,
      window: 512,
      heads: 4,
      headsKv: 1,
      headFull: 32,
      headSliding: 16,
      feedForward: 128,
      perLayer: 16,
      tied: false,
    },
    projector: {
      name: 'batchmill-test-tiny-mmproj',
      projection: 64,
      vision: { embedding: 32, feedForward: 64, layers: 2, heads: 2 },
      audio: { embedding: 32, feedForward: 128, layers: 2, heads: 2, channels: [8, 4], out: 48 },
    },
  },
  middle: {
    text: {
      name: 'batchmill-test-middle',
      type: 'Q4_0',
      vocabulary: 32_768,
      context: 32_768,
      embedding: 768,
      layers: 15,
      sharedLayers: 5,
      fullEvery: 5,
      window: 512,
      heads: 8,
      headsKv: 1,
      headFull: 256,
      headSliding: 128,
      feedForward: 2304,
      perLayer: 64,
      tied: true,
    },
    projector: {
      name: 'batchmill-test-middle-mmproj',
      projection: 768,
      vision: { embedding: 256, feedForward: 1024, layers: 6, heads: 4 },
      audio: { embedding: 256, feedForward: 1024, layers: 4, heads: 4, channels: [32, 16], out: 384 },
    },
  },
  e2b: {
    text: {
      name: 'batchmill-test-e2b',
      type: 'Q4_0',
      vocabulary: 262_144,
      context: 131_072,
      embedding: 1536,
      layers: 35,
      sharedLayers: 20,
      fullEvery: 5,
      window: 512,
      heads: 8,
      headsKv: 1,
      headFull: 512,
      headSliding: 256,
      feedForward: 6144,
      perLayer: 256,
      tied: true,
    },
    projector: {
      name: 'batchmill-test-e2b-mmproj',
      projection: 1536,
      vision: { embedding: 768, feedForward: 3072, layers: 16, heads: 12 },
      audio: { embedding: 1024, feedForward: 4096, layers: 12, heads: 8, channels: [128, 32], out: 1536 },
    },
  },
} as const satisfies Record<string, ModelSize>;

export type SizeName = keyof typeof SIZES;
