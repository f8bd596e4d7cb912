import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { parse } from 'yaml';
import { z } from 'zod';
import { goModule } from '../servers/go-module.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Schema = { [key: string]: Json };

/** Where kinds that are not Kubernetes' own are defined: a module and the folder of its CustomResourceDefinitions. */
const CUSTOM = [
  ['github.com/kedacore/keda/v2', 'v2.18.3', 'config/crd/bases'],
  ['github.com/prometheus-operator/prometheus-operator', 'v0.85.0', 'example/prometheus-operator-crd'],
  ['github.com/aws/karpenter-provider-aws', 'v1.11.0', 'pkg/apis/crds'],
] as const;
const KUBERNETES = ['k8s.io/kubernetes', 'v1.35.0'] as const;

const Swagger = z.object({ definitions: z.record(z.string(), z.record(z.string(), z.json())) });
const Definition = z.object({
  spec: z.object({
    group: z.string(),
    names: z.object({ kind: z.string() }),
    versions: z.array(
      z.object({ name: z.string(), schema: z.object({ openAPIV3Schema: z.record(z.string(), z.json()) }) }),
    ),
  }),
});
const Kinds = z.array(z.object({ group: z.string(), kind: z.string(), version: z.string() }));
export const KubernetesObject = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), labels: z.record(z.string(), z.string()).optional() }),
});
export type KubernetesObject = z.infer<typeof KubernetesObject>;

/**
 * Checks objects as a strict API server does: by the schemas of Kubernetes and of the operators' kinds, and with every field known.
 */
export class KubernetesSchemas {
  readonly #ajv: Ajv;
  readonly #byKind: ReadonlyMap<string, string>;

  private constructor(ajv: Ajv, byKind: ReadonlyMap<string, string>) {
    this.#ajv = ajv;
    this.#byKind = byKind;
  }

  static async load(): Promise<KubernetesSchemas> {
    const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
    const byKind = new Map<string, string>();
    const text = await readFile(join(await goModule(...KUBERNETES), 'api/openapi-spec/swagger.json'), 'utf8');
    const { definitions } = Swagger.parse(JSON.parse(text));
    // What may be a number or text, the specification calls text.
    for (const name of [
      'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
      'io.k8s.apimachinery.pkg.api.resource.Quantity',
    ])
      definitions[name] = { type: ['string', 'number'] };
    ajv.addSchema({ $id: 'kubernetes', definitions: strict(definitions) });
    for (const [name, schema] of Object.entries(definitions))
      for (const { group, kind, version } of Kinds.parse(schema['x-kubernetes-group-version-kind'] ?? []))
        byKind.set(`${group === '' ? '' : `${group}/`}${version} ${kind}`, `kubernetes#/definitions/${name}`);
    for (const [module, version, folder] of CUSTOM) {
      const at = join(await goModule(module, version), folder);
      for (const file of (await readdir(at)).filter((f) => f.endsWith('.yaml'))) {
        const { spec } = Definition.parse(parse(await readFile(join(at, file), 'utf8')));
        for (const { name, schema } of spec.versions) {
          const id = `${spec.group}/${name} ${spec.names.kind}`;
          ajv.addSchema({ ...(strict(schema.openAPIV3Schema) as Schema), $id: encodeURIComponent(id) });
          byKind.set(id, encodeURIComponent(id));
        }
      }
    }
    return new KubernetesSchemas(ajv, byKind);
  }

  /** What is wrong with an object, a line each; empty if nothing is. */
  problems(object: KubernetesObject): string[] {
    const kind = `${object.apiVersion} ${object.kind}`;
    const id = this.#byKind.get(kind);
    if (id === undefined) return [`${kind} is not known`];
    const validate: ValidateFunction | undefined = this.#ajv.getSchema(id);
    if (validate === undefined) return [`${kind} has no schema`];
    const fine: boolean = validate(object);
    if (fine) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) =>
        `${object.kind} ${object.metadata.name}: ${instancePath} ${message} ${JSON.stringify(params)}`,
    );
  }
}

/** The same schema in which objects have no fields but those they name. */
function strict(schema: Json, inObject = false): Json {
  if (Array.isArray(schema)) return schema.map((s) => strict(s));
  if (schema === null || typeof schema !== 'object') return schema;
  const out: Schema = {};
  for (const [key, value] of Object.entries(schema)) out[key] = strict(value, key === 'properties');
  if (inObject) return out;
  if (schema['x-kubernetes-int-or-string'] === true) return { type: ['string', 'number'] };
  const closed =
    schema['x-kubernetes-preserve-unknown-fields'] !== true &&
    typeof schema.properties === 'object' &&
    schema.additionalProperties === undefined;
  if (closed) out.additionalProperties = false;
  // A custom resource says `metadata: {type: object}` and means Kubernetes' own.
  return out;
}
