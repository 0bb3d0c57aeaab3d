# `stemma` with the compute sidecar for GPUs: PyTorch with its CUDA libraries, our kernels compiled for sm_90a ahead of time.
#   docker build -f deploy/images/stemma-cuda.Dockerfile -t stemma-cuda:dev --build-arg STEMMA=stemma:dev .
# The host brings the driver (NVIDIA's container toolkit). Temporal is with it, so that `stemma up` works on one GPU too.
ARG STEMMA=docker.io/local/stemma:dev
FROM ${STEMMA} AS python
USER root
RUN apt-get update && apt-get install --yes --no-install-recommends binutils ca-certificates g++ gcc libc6-dev python3 python3-pip python3-venv && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN node deploy/images/python.mjs / --cuda

FROM python AS kernels
RUN node deploy/images/kernels.mjs / --cuda

FROM ${STEMMA} AS temporal
USER root
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN node deploy/images/temporal.mjs /

FROM ${STEMMA}
USER root
RUN command -v python3 bwrap >/dev/null || { apt-get update && apt-get install --yes --no-install-recommends bubblewrap python3 && rm -rf /var/lib/apt/lists/*; }
COPY --from=temporal /opt/temporal /opt/temporal
COPY --from=python /opt/venv /opt/venv
COPY --from=kernels /opt/stemma/kernels /opt/stemma/kernels
# Only where the stage before had no Python of this version.
RUN ln -s /opt/temporal/temporal /usr/local/bin/temporal && { test -d /opt/stemma/kernels/sidecar/__pycache__ || /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/stemma/kernels /opt/venv/lib || true; }
ENV STEMMA_PYTHON=/opt/venv/bin/python STEMMA_TEMPORAL=/opt/temporal/temporal PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
