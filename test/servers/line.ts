import { connect, createServer, type Socket } from 'node:net';
import { freePorts } from './ports.ts';

/** A network line to a server, which breaks when it is told to. */
export interface Line extends AsyncDisposable {
  /** The server's address at this end of the line. */
  endpoint: string;
  /** Breaks the connection on which the server answers next, when that many more bytes of answers have passed. Once. */
  breakAfter(bytes: number): void;
  /** How often it broke. */
  breaks(): number;
}

/** Lays a line on loopback to `endpoint`, an `http://127.0.0.1:port` URL. */
export async function layLine(endpoint: string): Promise<Line> {
  const target = Number(new URL(endpoint).port);
  const [port = 0] = await freePorts(1);
  const sockets = new Set<Socket>();
  let left = Number.POSITIVE_INFINITY;
  let breaks = 0;
  const line = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    const cut = () => {
      for (const socket of [near, far]) {
        socket.destroy();
        sockets.delete(socket);
      }
    };
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', cut).on('close', cut);
    }
    near.pipe(far);
    far.on('data', (answer: Buffer) => {
      if (answer.length > left) {
        near.write(answer.subarray(0, left), cut);
        left = Number.POSITIVE_INFINITY;
        breaks += 1;
        return;
      }
      left -= answer.length;
      if (!near.write(answer)) {
        far.pause();
        near.once('drain', () => far.resume());
      }
    });
  });
  await new Promise<void>((resolve) => line.listen(port, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${port}`,
    breakAfter: (bytes) => {
      left = bytes;
    },
    breaks: () => breaks,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => line.close(resolve));
    },
  };
}
