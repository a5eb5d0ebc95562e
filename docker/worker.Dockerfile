# The press. PyPI's torch brings the CUDA libraries with it, so a plain Python base is enough for a GPU.
# Build from the repository's root: docker build -f docker/worker.Dockerfile -t pressroom-press .
# Another build of torch:           --build-arg TORCH_INDEX=<index> [--build-arg TORCH_CONSTRAINT='torch==2.13.0+cpu']
ARG BASE_IMAGE=docker.io/library/python:3.12-slim-bookworm

FROM ${BASE_IMAGE} AS build
ARG TORCH_CONSTRAINT=
ARG TORCH_INDEX=
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
# The dependencies are large and rarely change, so they get a separate layer before the code is copied. The empty
# packages are needed because pip does not add paths of packages that do not exist.
RUN for package in api common migrations worker; do mkdir "$package" && touch "$package/__init__.py"; done \
    && if [ -n "${TORCH_CONSTRAINT}" ]; then sed -i "s/^torch==.*/${TORCH_CONSTRAINT}/" constraints.txt; fi \
    && python3 -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt \
        ${TORCH_INDEX:+--extra-index-url "${TORCH_INDEX}"} -e '.[press]'
COPY common common
COPY worker worker
COPY api/__init__.py api/__init__.py
COPY migrations migrations

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Pressroom press" org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    HF_HUB_OFFLINE=1 \
    PRESSROOM_HOME=/data \
    PRESSROOM_LOG_FORMAT=json
RUN useradd --uid 10001 --create-home --home-dir /data pressroom
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
USER 10001
VOLUME /data
STOPSIGNAL SIGTERM
CMD ["python3", "-m", "worker.main"]
