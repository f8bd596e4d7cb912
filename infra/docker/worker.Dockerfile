# The workers (control and infer) and the batchmill command, with llama-server built in. Two targets:
#   docker build -f infra/docker/worker.Dockerfile --target cpu  -t batchmill-worker .
#   docker build -f infra/docker/worker.Dockerfile --target cuda -t batchmill-worker:cuda .
# The control role needs no GPU and no model: run it from the cpu image.
ARG NODE=24-bookworm-slim
# The CUDA kernels that node-llama-cpp ships are linked with libcudart.so.13 and libcublas.so.13. The C library here must
# not be older than the one of the Node image above, in which llama-server is compiled.
ARG CUDA=13.0.1-runtime-ubuntu24.04

FROM node:${NODE} AS base
WORKDIR /app

# The package.json files alone, so that a change of source does not install everything again.
FROM base AS manifests
COPY apps apps
COPY packages packages
RUN mkdir /manifests && find apps packages -maxdepth 2 -name package.json -exec cp --parents {} /manifests ';'

FROM base AS build
RUN apt-get update && apt-get install --yes --no-install-recommends g++ git && rm -rf /var/lib/apt/lists/*
COPY package.json package-lock.json .npmrc ./
COPY --from=manifests /manifests ./
RUN npm ci --omit=dev --workspace apps/cli && npm cache clean --force
COPY apps apps
COPY packages packages

# llama-server, from the source and against the libraries that node-llama-cpp carries. It runs without a GPU here.
FROM build AS llama-server-cpu
RUN mv "$(dirname "$(HOME=/tmp/build node apps/cli/src/main.ts engine build --gpu cpu)")" /opt/llama-server
FROM build AS llama-server-cuda
RUN mv "$(dirname "$(HOME=/tmp/build node apps/cli/src/main.ts engine build --gpu cuda --for-image)")" /opt/llama-server

# The application without tests, and without node-llama-cpp's libraries for GPUs and other machines: llama-server has its own.
FROM build AS app
RUN for folder in node_modules/@node-llama-cpp/*; do \
      [ "${folder##*/}" = "linux-$(node -p process.arch)" ] || rm -r "$folder"; \
    done; \
    find apps packages -name node_modules -prune -o -name '*.test.ts' -exec rm {} + \
    && chmod +x apps/cli/src/main.ts
COPY models models

FROM nvidia/cuda:${CUDA} AS cuda
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates libstdc++6 tini \
    && rm -rf /var/lib/apt/lists/* && useradd --uid 10001 --create-home batchmill \
    && install -d -o 10001 -g 10001 /var/lib/batchmill && ln -s /app/apps/cli/src/main.ts /usr/local/bin/batchmill
WORKDIR /app
COPY --from=base /usr/local/bin/node /usr/local/bin/node
COPY --from=llama-server-cuda /opt/llama-server /opt/llama-server
COPY --from=app /app /app
ENV NODE_ENV=production NODE_OPTIONS=--max-semi-space-size=8 BATCHMILL_HOME=/var/lib/batchmill LLAMA_SERVER=/opt/llama-server/llama-server HEALTH_PORT=8081 \
    CUDA_CACHE_PATH=/var/lib/batchmill/cuda-cache
USER 10001
EXPOSE 8081
# The first start may download a model.
HEALTHCHECK --interval=5s --timeout=5s --start-period=10m \
    CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.HEALTH_PORT}/readyz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# tini passes SIGTERM on: finished items are written to the bucket before the worker ends.
ENTRYPOINT ["tini", "--"]
CMD ["node", "apps/worker/src/main.ts", "--roles", "control,infer"]

FROM base AS cpu
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates libstdc++6 tini \
    && rm -rf /var/lib/apt/lists/* && useradd --uid 10001 --create-home batchmill \
    && install -d -o 10001 -g 10001 /var/lib/batchmill && ln -s /app/apps/cli/src/main.ts /usr/local/bin/batchmill
COPY --from=llama-server-cpu /opt/llama-server /opt/llama-server
COPY --from=app /app /app
ENV NODE_ENV=production NODE_OPTIONS=--max-semi-space-size=8 BATCHMILL_HOME=/var/lib/batchmill LLAMA_SERVER=/opt/llama-server/llama-server HEALTH_PORT=8081
USER 10001
EXPOSE 8081
HEALTHCHECK --interval=5s --timeout=5s --start-period=10m \
    CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.HEALTH_PORT}/readyz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["tini", "--"]
CMD ["node", "apps/worker/src/main.ts", "--roles", "control,infer"]
