# The API as a container image for AWS Lambda.
#   docker build -f infra/docker/lambda.Dockerfile -t batchmill-lambda .
# Behind an API gateway or a load balancer as it is; behind a function URL with response streaming, override the command with
# lambda-streaming.handler. Settings as for the API.
ARG LAMBDA=24

FROM public.ecr.aws/lambda/nodejs:${LAMBDA} AS base
WORKDIR /var/task

# The package.json files alone, so that a change of source does not install everything again.
FROM base AS manifests
COPY apps apps
COPY packages packages
RUN mkdir /manifests && find apps packages -maxdepth 2 -name package.json -exec cp --parents {} /manifests ';'

FROM base AS build
COPY package.json package-lock.json .npmrc ./
COPY --from=manifests /manifests ./
RUN npm ci --omit=dev --omit=optional --workspace apps/api && npm cache clean --force
COPY apps/api apps/api
COPY packages packages
# Only what npm linked for the API stays, and no tests.
RUN for folder in packages/*; do [ -L "node_modules/@batchmill/${folder#packages/}" ] || rm -r "$folder"; done; \
    find apps packages -name node_modules -prune -o -name '*.test.ts' -exec rm {} +

FROM base
COPY --from=build /var/task /var/task
# Types are stripped and code is compiled once, here, and not by every sandbox that starts: half of a cold start. Also what a request
# loads late: nothing can be written there later.
ENV NODE_ENV=production NODE_COMPILE_CACHE=/var/task/.compile-cache
RUN node --input-type=module -e "const late = ['bucket/src/s3/bucket', 'queue/src/backend', 'queue/src/queues', 'queue/src/limiters', 'safety/src/lexicon/index', 'safety/src/personal-data/index', 'safety/src/rules/index', 'safety/src/secrets/index', 'safety/src/policy/parse', 'telemetry/src/otlp']; for (const path of ['apps/api/lambda.mjs', 'apps/api/src/lambda/api.ts', ...late.map((path) => 'packages/' + path + '.ts')]) await import('/var/task/' + path); await Promise.all(['ioredis', 'pg', 'undici'].map((name) => import(name))); process.exit(0)"
WORKDIR /var/task/apps/api
CMD ["lambda.handler"]
