# The API: apps/api and the packages it imports. No engine, no media decoders, no compiler.
#   docker build -f infra/docker/api.Dockerfile -t batchmill-api .
# Needs QUEUE_URL and BUCKET_URL, and an API key in the bucket, since it listens on all addresses.
ARG NODE=24-bookworm-slim

FROM node:${NODE} AS base
WORKDIR /app

# The package.json files alone, so that a change of source does not install everything again.
FROM base AS manifests
COPY apps apps
COPY packages packages
RUN mkdir /manifests && find apps packages -maxdepth 2 -name package.json -exec cp --parents {} /manifests ';'

FROM base AS build
COPY package.json package-lock.json .npmrc ./
COPY --from=manifests /manifests ./
# Optional packages are the embedded PostgreSQL, which this image does not run, and speed-ups it does not need.
RUN npm ci --omit=dev --omit=optional --workspace apps/api && npm cache clean --force
COPY apps/api apps/api
COPY packages packages
# Only what npm linked for the API stays, and no tests.
RUN for folder in packages/*; do [ -L "node_modules/@batchmill/${folder#packages/}" ] || rm -r "$folder"; done; \
    find apps packages -name node_modules -prune -o -name '*.test.ts' -exec rm {} +

FROM base
RUN apt-get update && apt-get install --yes --no-install-recommends tini && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --home-dir /nonexistent batchmill
COPY --from=build /app /app
ENV NODE_ENV=production NODE_OPTIONS=--max-semi-space-size=8 HOST=0.0.0.0 PORT=8080
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s \
    CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/readyz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# tini passes SIGTERM on: the API finishes running requests, then ends.
ENTRYPOINT ["tini", "--"]
CMD ["node", "apps/api/src/main.ts"]
