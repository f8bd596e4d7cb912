import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { goProgram } from '../servers/go-module.ts';
import { KubernetesObject, KubernetesSchemas } from './schemas.ts';

/** The Helm charts, rendered by helm and held against the schemas of Kubernetes, KEDA, Karpenter and the Prometheus operator. */
const CHART = fileURLToPath(new URL('../../infra/helm/batchmill', import.meta.url));
const GPU_POOL = fileURLToPath(new URL('../../infra/terraform/aws/gpu-pool', import.meta.url));
const run = promisify(execFile);

let helm: string;
let schemas: KubernetesSchemas;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batchmill-chart-'));
  helm = await goProgram('helm', 'helm.sh/helm/v3/cmd/helm', 'v3.22.0');
  schemas = await KubernetesSchemas.load();
});
afterAll(() => rm(folder, { recursive: true }));

type Values = { [key: string]: unknown };

async function render(chart: string, values: Values): Promise<KubernetesObject[]> {
  const file = await valuesFile(values);
  await run(helm, ['lint', '--strict', '--quiet', chart, '--values', file, '--kube-version', '1.35.0']);
  return parseAllDocuments(await template(chart, file))
    .map((document) => document.toJS() as unknown)
    .filter((object) => object !== null)
    .map((object) => KubernetesObject.parse(object));
}

async function valuesFile(values: Values): Promise<string> {
  const file = join(folder, `${randomUUID()}.yaml`);
  await writeFile(file, stringify(values));
  return file;
}

async function template(chart: string, valuesFile: string): Promise<string> {
  const args = ['template', 'mill', chart, '--values', valuesFile, '--kube-version', '1.35.0'];
  return (await run(helm, args, { maxBuffer: 2 ** 26 })).stdout;
}

/** What `helm install` says of values it does not take. */
async function refusal(values: Values): Promise<string> {
  const file = await valuesFile(values);
  return template(CHART, file).then(
    () => 'helm took it',
    (error: unknown) => String(error),
  );
}

const IMAGES = {
  api: { repository: 'registry.example/batchmill-api', tag: '1.0.0' },
  worker: { repository: 'registry.example/batchmill-worker', digest: `sha256:${'0'.repeat(64)}` },
  workerCuda: { repository: 'registry.example/batchmill-worker', tag: 'cuda' },
};
const LEAST: Values = {
  image: IMAGES,
  queue: { existingSecret: 'queue' },
  bucket: { url: 's3://bucket/batchmill?region=eu-central-1' },
  keda: { operatorKeySecret: 'operator' },
};
const EVERYTHING: Values = {
  ...LEAST,
  image: { ...IMAGES, pullPolicy: 'Always', pullSecrets: ['registry'] },
  bucket: { url: 's3://bucket/batchmill', existingSecret: 'aws' },
  model: {
    source: 'hf:owner/repo:Q4_0',
    mmproj: 'hf:owner/repo:mmproj',
    name: 'gemma',
    sha256: 'a'.repeat(64),
    hfTokenSecret: 'hub',
  },
  settings: { SLOTS: 8, MAX_BATCH_ITEMS: 2_000_000, FETCH_HTTP: '1' },
  settingsSecrets: ['moderations'],
  policies: {
    configMap: 'policies',
    items: { 'default.yaml': 'default.yaml', 'tenant-acme.yaml': 'tenants/acme.yaml' },
  },
  serviceAccount: { annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/x' } },
  api: {
    ingress: { enabled: true, className: 'nginx', host: 'batch.example', tlsSecret: 'tls', annotations: { a: 'b' } },
    autoscaling: { enabled: true },
    service: { type: 'LoadBalancer', port: 80 },
    nodeSelector: { 'kubernetes.io/arch': 'amd64' },
    tolerations: [{ key: 'x', operator: 'Exists' }],
    affinity: { nodeAffinity: {} },
    podAnnotations: { a: 'b' },
  },
  infer: {
    gpu: {
      spot: { enabled: true },
      podDisruptionBudget: { enabled: true },
      modelCache: { kind: 'claim', claim: 'models' },
    },
    text: { lanes: ['text'], gpus: 0, kind: 'job', tolerations: [], settings: { SLOTS: 2 } },
    node: { gpus: 2, modelCache: { kind: 'host' }, scale: { min: 1 } },
    off: { enabled: false },
  },
  metrics: { podMonitor: { enabled: true, labels: { team: 'x' } } },
  networkPolicy: { apiFrom: [{ namespaceSelector: { matchLabels: { name: 'ingress' } } }] },
};
const NO_KEDA: Values = {
  ...LEAST,
  keda: { enabled: false },
  networkPolicy: { enabled: false },
  firstKey: { enabled: false },
};

describe.each([
  ['the least', LEAST],
  ['everything', EVERYTHING],
  ['no KEDA', NO_KEDA],
])('the chart with %s', (_, values) => {
  let objects: KubernetesObject[];
  beforeAll(async () => {
    objects = await render(CHART, values);
  });

  test('renders what Kubernetes takes, every field known', () => {
    expect(objects.length).toBeGreaterThan(5);
    expect(objects.flatMap((object) => schemas.problems(object))).toEqual([]);
    const names = objects.map((o) => `${o.apiVersion} ${o.kind} ${o.metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
  });

  test('keeps to the restricted pod security standard, with limits and probes', () => {
    for (const { name, spec, container } of pods(objects)) {
      const because = `pod of ${name}`;
      expect(spec.automountServiceAccountToken, because).toBe(false);
      expect(spec.securityContext, because).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(container.securityContext, because).toMatchObject({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(container.resources, because).toHaveProperty('limits.memory');
      if (!name.includes('first-key')) expect(container, because).toHaveProperty('readinessProbe');
    }
  });

  test('gives every process the same queue, bucket and settings', () => {
    for (const { name, container } of pods(objects)) {
      const names = (container.env ?? []).map((e) => e.name);
      expect(names, name).toEqual(expect.arrayContaining(['QUEUE_URL', 'BUCKET_URL']));
      expect(new Set(names).size, name).toBe(names.length);
    }
  });
});

test('pools say their own: lanes, scaling, images and settings', async () => {
  const objects = await render(CHART, EVERYTHING);
  const find = (kind: string, name: string) => objects.find((o) => o.kind === kind && o.metadata.name === name);
  expect(find('ScaledObject', 'mill-batchmill-infer-gpu')).toMatchObject({
    spec: {
      minReplicaCount: 0,
      triggers: [
        { metadata: { url: expect.stringMatching(/:80\/v1\/autoscale\/all$/), valueLocation: 'workers_wanted' } },
      ],
    },
  });
  expect(find('ScaledJob', 'mill-batchmill-infer-text')).toMatchObject({
    spec: { triggers: [{ metadata: { url: expect.stringMatching(/\/v1\/autoscale\/text$/) } }] },
  });
  const api = pods(objects).find((p) => p.name.endsWith('-api'))?.container;
  expect(api?.env).toContainEqual({ name: 'MAX_WORKERS', value: '24' });
  expect(find('ScaledJob', 'mill-batchmill-infer-text')).toMatchObject({
    spec: { triggers: [{ type: 'metrics-api' }], jobTargetRef: { template: { spec: { restartPolicy: 'Never' } } } },
  });
  expect(objects.some((o) => o.metadata.name.endsWith('infer-off'))).toBe(false);
  const container = (suffix: string) => pods(objects).find((p) => p.name.endsWith(suffix))?.container;
  expect(container('infer-text')?.args?.join(' ')).toContain('--lanes text --exit-when-idle 300s');
  expect(container('infer-text')?.image).toContain('@sha256:');
  expect(container('infer-text')?.env).toContainEqual({ name: 'SLOTS', value: '2' });
  expect(container('infer-gpu')?.env).toContainEqual({ name: 'SLOTS', value: '8' });
  expect(container('infer-gpu')?.env).toContainEqual({ name: 'MAX_BATCH_ITEMS', value: '2000000' });
  expect(container('infer-gpu')?.image).toBe('registry.example/batchmill-worker:cuda');
  expect(container('infer-gpu')?.resources?.limits).toMatchObject({ 'nvidia.com/gpu': 1 });
  expect(container('infer-node')?.resources?.limits).toMatchObject({ 'nvidia.com/gpu': 2 });
});

test.each<[string, Values, string]>([
  ['no image', { ...LEAST, image: {} }, 'image.worker'],
  ['no queue', { ...LEAST, queue: {} }, 'queue.existingSecret'],
  ['no bucket', { ...LEAST, bucket: {} }, 'bucket.url'],
  ['a folder as bucket', { ...LEAST, bucket: { url: 'file:///data' } }, '/bucket/url'],
  ['KEDA without its key', { ...LEAST, keda: {} }, 'keda.operatorKeySecret'],
  ['a value that is not known', { ...LEAST, infr: {} }, 'infr'],
  ['a lane that is not known', { ...LEAST, infer: { gpu: { lanes: ['video'] } } }, '/infer/gpu/lanes/0'],
  ['a setting that has a field', { ...LEAST, settings: { MODEL: 'x' } }, '/settings'],
  ['jobs without KEDA', { ...NO_KEDA, infer: { gpu: { kind: 'job' } } }, "infer.gpu.kind: 'job' needs keda.enabled"],
])('%s is refused in words', async (_, values, words) => {
  expect(await refusal(values)).toContain(words);
});

test("Karpenter's pool is what Karpenter takes", async () => {
  const objects = await render(GPU_POOL, {
    name: 'mill',
    instanceProfile: 'mill-node',
    subnetIds: ['subnet-0a1b2c3d', 'subnet-1a1b2c3d'],
    securityGroupIds: ['sg-0a1b2c3d'],
    instanceTypes: ['g6.xlarge', 'g5.xlarge'],
    capacityTypes: ['spot', 'on-demand'],
    gpuLimit: 4,
    tags: { batchmill: 'mill' },
  });
  expect(objects.map((o) => o.kind).sort()).toEqual(['EC2NodeClass', 'NodePool']);
  expect(objects.flatMap((object) => schemas.problems(object))).toEqual([]);
});

test('the check itself: a field that is misspelt is found', async () => {
  const objects = await render(CHART, LEAST);
  const deployment = structuredClone(objects.find((o) => o.kind === 'Deployment'));
  if (deployment === undefined) throw new Error('no Deployment');
  Object.assign(deployment.spec as object, { replcas: 2 });
  expect(schemas.problems(deployment).join()).toContain('replcas');
});

interface Container {
  image: string;
  args?: string[];
  env?: { name: string; value?: string }[];
  securityContext: object;
  resources: { limits?: object };
}
interface PodSpec {
  automountServiceAccountToken?: boolean;
  securityContext: object;
  containers: Container[];
}

/** The pods that objects make, by the name of what makes them. */
function pods(objects: readonly KubernetesObject[]): { name: string; spec: PodSpec; container: Container }[] {
  return objects.flatMap((object) => {
    const spec = object.spec as
      | { template?: { spec: PodSpec }; jobTargetRef?: { template: { spec: PodSpec } } }
      | undefined;
    const pod = spec?.template?.spec ?? spec?.jobTargetRef?.template.spec;
    const container = pod?.containers?.[0];
    return pod === undefined || container === undefined ? [] : [{ name: object.metadata.name, spec: pod, container }];
  });
}
