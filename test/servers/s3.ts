import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateBucketCommand, DeleteObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { freePorts } from './ports.ts';
import { ServerProcess, startNew, type TestServer } from './process.ts';
import { weedProgram } from './weed.ts';

export interface S3Server extends TestServer {
  /** The bucket's root, for `openBucket`. */
  url: string;
  /** The same bucket under a prefix, so that suites share a server without meeting. */
  urlOf(prefix: string): string;
  endpoint: string;
  /** The credentials, for `process.env` or a child process. */
  env: Record<string, string>;
}

const BUCKET = 'batchmill-test';
const ACCESS_KEY = 'batchmill-test-key';
const SECRET_KEY = 'batchmill-test-secret';

/**
 * Starts a real S3 server with an empty bucket on free loopback ports: SeaweedFS, which settles racing
 * `If-None-Match: *` writes (20 racing writers, 50 times: one winner each time) and lists in byte order.
 * With `notify` it posts its events there.
 * The first call on a machine builds it, which takes minutes: give the hook that calls this 20 minutes.
 */
export async function startS3(options: { notify?: { url: string; token: string } } = {}): Promise<S3Server> {
  const program = await weedProgram();
  return startNew(async () => {
    const [s3 = 0, s3Grpc, filer, filerGrpc, volume, volumeGrpc, master, masterGrpc] = await freePorts(8);
    const endpoint = `http://127.0.0.1:${s3}`;
    const client = new S3Client({
      endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
    });
    const server = new ServerProcess(
      's3',
      (folder) => [
        program,
        'server',
        `-dir=${folder}`,
        '-ip=127.0.0.1',
        '-ip.bind=127.0.0.1',
        `-master.port=${master}`,
        `-master.port.grpc=${masterGrpc}`,
        // A single master: no election, which would take 10 seconds after every start.
        '-master.peers=none',
        '-master.volumeSizeLimitMB=256',
        `-volume.port=${volume}`,
        `-volume.port.grpc=${volumeGrpc}`,
        '-volume.max=0',
        '-volume.preStopSeconds=0',
        '-filer',
        `-filer.port=${filer}`,
        `-filer.port.grpc=${filerGrpc}`,
        `-filer.localSocket=${join(folder, 'filer.sock')}`,
        '-s3',
        `-s3.port=${s3}`,
        `-s3.port.grpc=${s3Grpc}`,
        '-s3.autoCreateBucket=false',
        '-s3.port.iceberg=0',
        '-s3.port.lance=0',
        `-s3.config=${configIn(folder, options.notify)}`,
        `-s3.localSocket=${join(folder, 's3.sock')}`,
      ],
      () => takesWrites(client),
      [`master-grpc-${masterGrpc}`, `volume-grpc-${volumeGrpc}`, `filer-grpc-${filerGrpc}`, `s3-grpc-${s3Grpc}`].map(
        (socket) => `/tmp/seaweedfs-${socket}.sock`,
      ),
    );
    const urlOf = (prefix: string) => `s3://${BUCKET}/${prefix}?region=us-east-1&endpoint=${endpoint}&pathStyle=true`;
    const env = { AWS_ACCESS_KEY_ID: ACCESS_KEY, AWS_SECRET_ACCESS_KEY: SECRET_KEY };
    return Object.assign(server, { url: urlOf(''), urlOf, endpoint, env });
  });
}

/** Access keys, in the form that SeaweedFS's `-s3.config` takes. */
function configIn(folder: string, notify?: { url: string; token: string }): string {
  const path = join(folder, 's3.json');
  const credentials = [{ accessKey: ACCESS_KEY, secretKey: SECRET_KEY }];
  const identities = [{ name: 'test', credentials, actions: ['Admin', 'Read', 'Write', 'List', 'Tagging'] }];
  writeFileSync(path, JSON.stringify({ identities }));
  // Read from the folder it runs in.
  if (notify !== undefined)
    writeFileSync(
      join(folder, 'notification.toml'),
      `[notification.webhook]\nenabled = true\nendpoint = "${notify.url}"\nbearer_token = "${notify.token}"\n`,
    );
  return path;
}

/** Ready when the bucket is there and a write works: the parts of the server come up one after the other. */
async function takesWrites(client: S3Client): Promise<boolean> {
  try {
    await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: '.ready', Body: 'ready' }));
    await client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: '.ready' }));
    return true;
  } catch {
    await client.send(new CreateBucketCommand({ Bucket: BUCKET })).catch(() => {});
    return false;
  }
}
