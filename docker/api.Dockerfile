# The api and the clerk: Pressroom without torch.
# Build from the repository's root: docker build -f docker/api.Dockerfile -t pressroom-api .
ARG BASE_IMAGE=docker.io/library/python:3.12-slim-bookworm

FROM ${BASE_IMAGE} AS build
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY common common
COPY api api
COPY migrations migrations
COPY worker/__init__.py worker/__init__.py
RUN python3 -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt -e '.[c2pa]'

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Pressroom api" org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PRESSROOM_HOME=/data \
    PRESSROOM_BIND=0.0.0.0:8000 \
    PRESSROOM_LOG_FORMAT=json
RUN useradd --uid 10001 --create-home --home-dir /data pressroom
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["python3", "-m", "api.healthcheck"]
# The clerk runs the same image with: python -m common.clerk
CMD ["gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app", "--worker-tmp-dir", "/dev/shm"]
