# Everything that computes nothing: the command line, gateway, worker and the operator.
#   docker build -f deploy/images/stemma.Dockerfile -t stemma:dev --build-arg REVISION=$(git describe --always --dirty) .
# `npm run images` builds it where there is no Docker and no registry: it gives BASE and the stage `app`, made by the same scripts.
ARG BASE=docker.io/library/node:24.22.3-bookworm-slim
FROM ${BASE} AS app
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates g++ make python3 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# Which code its runs say that they were made by; .git is not in the context.
ARG REVISION
RUN node deploy/setup/setup.mjs --only=packages,generate,compile && node deploy/images/app.mjs /

FROM ${BASE}
COPY --from=app /opt/stemma /opt/stemma
ENV NODE_ENV=production HOME=/var/lib/stemma USER=stemma STEMMA_HOME=/var/lib/stemma
# Temporal, a static Go program, asks the environment who it is.
RUN echo "stemma:x:10001:10001::/var/lib/stemma:/usr/sbin/nologin" >> /etc/passwd && mkdir -p /var/lib/stemma && chown 10001:10001 /var/lib/stemma && ln -s /opt/stemma/dist/services/cli/main.js /usr/local/bin/stemma
WORKDIR /opt/stemma
USER 10001:10001
ENTRYPOINT ["stemma"]
