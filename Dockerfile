# One image for all processes: `docker compose up` builds it. The command decides which process it is.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CACHE_DIR=/var/cache/pip
RUN useradd --create-home --uid 10001 searchloop && install -d -o searchloop /data
WORKDIR /app
COPY . .
RUN --mount=type=cache,target=/var/cache/pip pip install -c constraints.txt -e .

# By number: Kubernetes cannot tell by a name that it is not root (runAsNonRoot).
USER 10001
# As the one-machine mode starts its children: nothing is fetched at run time, and threads are what SEARCHLOOP_TORCH_THREADS says.
ENV SEARCHLOOP_DATA_DIR=/data HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1
VOLUME /data
CMD ["searchloop", "--help"]
