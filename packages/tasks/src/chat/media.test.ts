import { createServer } from 'node:http';
import { newId } from '@batchmill/contract';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ChatTaskOptions } from './chat-task.ts';
import {
  asked,
  dataUrl,
  error,
  files,
  image,
  media,
  picture,
  recording,
  run,
  sound,
  sourceOf,
  upload,
  user,
} from './test-chat.ts';

describe('media', () => {
  const server = createServer((_, res) => res.end(picture));
  let port = 0;
  beforeAll(async () => {
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    port = Number(Object(server.address()).port);
  });
  afterAll(() => server.close());

  it('comes from data URLs, the web, uploads and buckets', async () => {
    const fetch = { allow: ['127.0.0.1'], allowHttp: true };
    const id = upload(picture);
    await run(
      user([
        { type: 'text', text: 'look' },
        image(dataUrl(picture)),
        image(`http://127.0.0.1:${port}/a.jpg`),
        image(id),
        image('s3://scans/1.jpg'),
        { type: 'file', file: { file_id: id } },
      ]),
      {},
      'none',
      { fetch },
    );
    expect(asked[0]?.messages[0]?.content.map((p) => p.type)).toEqual([
      'text',
      'image',
      'image',
      'image',
      'image',
      'image',
    ]);
    for (const part of media()) {
      if (part.type !== 'image') throw new Error('not a picture');
      expect(await sharp(part.data).metadata()).toMatchObject({ format: 'png', width: 624, height: 480 });
    }
  });

  it('is scaled to the token budget, and further for low detail', async () => {
    const sizes = async (content: unknown, options: ChatTaskOptions) => {
      await run(user(content), {}, 'none', options);
      return Promise.all(
        media().map(async (part) => {
          if (part.type !== 'image') throw new Error('not a picture');
          const { width, height } = await sharp(part.data).metadata();
          return (width / 48) * (height / 48);
        }),
      );
    };
    const [normal = 0, low = 0] = await sizes([image(dataUrl(picture)), image(dataUrl(picture), 'low')], {
      imageTokens: 1120,
    });
    expect(normal).toBe(130);
    expect(low).toBe(130);
    const large = await sharp({ create: { width: 3_000, height: 2_000, channels: 3, background: '#fff' } })
      .png()
      .toBuffer();
    const [most = 0, less = 0] = await sizes([image(dataUrl(large)), image(dataUrl(large), 'low')], {
      imageTokens: 1120,
    });
    expect(most).toBeGreaterThan(1_000);
    expect(most).toBeLessThanOrEqual(1_120);
    expect(less).toBeLessThanOrEqual(140);
  });

  it('takes recordings as base64, data URL and upload', async () => {
    const base64 = recording.toString('base64');
    await run(
      user([
        sound(base64),
        sound(dataUrl(recording, 'audio/wav')),
        sound(upload(recording)),
        { type: 'file', file: { file_id: upload(recording) } },
      ]),
    );
    const parts = media();
    expect(parts.map((p) => p.type)).toEqual(['audio', 'audio', 'audio', 'audio']);
    for (const part of parts) {
      if (part.type !== 'audio') throw new Error('not a recording');
      // 0.6 s at 8 kHz in, at 16 kHz out.
      expect(part.data).toHaveLength(44 + 2 * 9_600);
    }
  });

  const wrong: [string, unknown, number, string, string][] = [
    ['a private address', image('https://127.0.0.1/x'), 400, 'url_not_allowed', 'image_url.url'],
    ['the metadata service', image('http://169.254.169.254/'), 400, 'url_not_allowed', 'image_url.url'],
    ['a path', image('/etc/passwd'), 400, 'invalid_value', 'image_url.url'],
    ['a file URL', image('file:///etc/passwd'), 400, 'invalid_value', 'image_url.url'],
    ['a bucket outside the list', image('s3://other/x'), 400, 'url_not_allowed', 'image_url.url'],
    ['a file that is not there', image(newId('file-')), 400, 'file_not_found', 'image_url.url'],
    ['an id that is none', { type: 'file', file: { file_id: '../../etc' } }, 400, 'file_not_found', 'file.file_id'],
    ['a broken data URL', image('data:image/png;base64,%%%'), 400, 'invalid_data_url', 'image_url.url'],
    ['text for a picture', image('data:image/png;base64,aGVsbG8='), 400, 'invalid_image', 'image_url.url'],
    ['half a picture', image(dataUrl(picture.subarray(0, picture.length / 2))), 400, 'invalid_image', 'image_url.url'],
    ['broken base64', sound('a?b'), 400, 'invalid_base64', 'input_audio.data'],
    ['text for a recording', sound('aGVsbG8='), 400, 'unsupported_audio', 'input_audio.data'],
    ['half a recording', sound(recording.subarray(0, 30).toString('base64')), 400, 'invalid_audio', 'input_audio.data'],
    [
      'a text file',
      { type: 'file', file: { file_id: upload(Buffer.from('hello')) } },
      400,
      'unsupported_file',
      'file.file_id',
    ],
  ];
  it.each(wrong)('from %s is refused by name', async (_, part, status, code, param) => {
    await expect(
      run(user(['first', part].map((p) => (p === 'first' ? { type: 'text', text: 'x' } : p)))),
    ).rejects.toEqual(error(status, code, `messages.0.content.1.${param}`));
    expect(asked).toEqual([]);
  });

  it('is refused where the model takes none, before it is fetched', async () => {
    const never = { openFile: async () => Promise.reject(new Error('fetched')) };
    const id = newId('file-');
    await expect(run(user([image(id)]), { image: false, ...never })).rejects.toEqual(
      error(400, 'unsupported_modality', 'messages.0.content.0.image_url.url', /gemma/),
    );
    await expect(run(user([sound(id)]), { audio: false, ...never })).rejects.toEqual(
      error(400, 'unsupported_modality', 'messages.0.content.0.input_audio.data'),
    );
    await expect(run(user([{ type: 'file', file: { file_id: upload(picture) } }]), { image: false })).rejects.toEqual(
      error(400, 'unsupported_modality', 'messages.0.content.0.file.file_id'),
    );
  });

  it('is bounded in number, size and length', async () => {
    const three = [image(dataUrl(picture)), image(dataUrl(picture)), image(dataUrl(picture))];
    await expect(run(user(three), {}, 'none', { maxParts: 2 })).rejects.toEqual(
      error(400, 'invalid_value', 'messages', /at most 2/),
    );
    await expect(run(user([image(dataUrl(picture))]), {}, 'none', { maxBytes: 100 })).rejects.toEqual(
      error(400, 'media_too_large'),
    );
    await expect(run(user([image(dataUrl(picture))]), {}, 'none', { maxPixels: 100 })).rejects.toEqual(
      error(400, 'invalid_image'),
    );
    await expect(run(user([sound(recording.toString('base64'))]), {}, 'none', { audioSeconds: 0.5 })).rejects.toEqual(
      error(400, 'audio_too_long'),
    );
  });

  it('keeps its order and is prepared four at a time', async () => {
    let running = 0;
    let most = 0;
    const widths = Array.from({ length: 12 }, (_, i) => 480 + 48 * i);
    const pictures = await Promise.all(
      widths.map((width) =>
        sharp({ create: { width, height: 480, channels: 3, background: '#00f' } })
          .png()
          .toBuffer(),
      ),
    );
    const ids = pictures.map(upload);
    await run(
      user(ids.map((id) => image(id))),
      {
        openFile: async (id) => {
          most = Math.max(most, ++running);
          await new Promise((done) => setTimeout(done, 5));
          running--;
          return sourceOf(files.get(id) ?? new Uint8Array());
        },
      },
      'none',
      { imageTokens: 1120 },
    );
    expect(most).toBe(4);
    const seen = await Promise.all(
      media().map(async (p) => (p.type === 'image' ? (await sharp(p.data).metadata()).width : 0)),
    );
    expect(seen).toEqual(widths);
  });

  it('stops with the item', async () => {
    const reason = new Error('cancelled');
    await expect(run(user('x'), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const stop = new AbortController();
    const running = run(user([image(newId('file-'))]), {
      signal: stop.signal,
      openFile: async () => {
        stop.abort(reason);
        return sourceOf(picture);
      },
    });
    await expect(running).rejects.toBe(reason);
    expect(asked).toEqual([]);
  });
});
