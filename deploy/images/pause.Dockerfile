# What holds a pod's namespaces open, for clusters without a registry (containerd's sandbox_image).
ARG BASE=docker.io/library/node:24.22.3-bookworm-slim
FROM ${BASE} AS pause
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
COPY deploy/images/pause.c /pause.c
RUN gcc -Os -static -o /pause /pause.c

FROM scratch
COPY --from=pause /pause /pause
USER 65535:65535
ENTRYPOINT ["/pause"]
