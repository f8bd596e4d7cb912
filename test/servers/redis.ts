import { connect } from 'node:net';
import { freePorts } from './ports.ts';
import { ServerProcess, startNew, type TestServer } from './process.ts';

export interface RedisServer extends TestServer {
  url: string;
}

/**
 * Starts a real Redis (`redis-server` of the PATH: the Debian package of that name; or what `REDIS_SERVER` names) on a free
 * loopback port. With `durable`, what it acknowledged survives `kill`; without, `kill` and `start` is a wiped queue.
 */
export async function startRedis(options: { durable?: boolean } = {}): Promise<RedisServer> {
  return startNew(async () => {
    const [port = 0] = await freePorts(1);
    const redis = new ServerProcess(
      'redis',
      (folder) => [
        process.env.REDIS_SERVER ?? 'redis-server',
        ...['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', ''],
        ...(options.durable === true ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no']),
      ],
      () => answersPing(port),
    );
    return Object.assign(redis, { url: `redis://127.0.0.1:${port}` });
  });
}

function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    // "-LOADING" while it reads its data.
    socket.once('data', (data) => done(data.toString().startsWith('+PONG')));
    socket.once('error', () => done(false));
    socket.setTimeout(2_000, () => done(false));
  });
}
