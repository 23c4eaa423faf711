# The HTTP service, without torch. From the top of the repository: docker build --file docker/service.Dockerfile .
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY . .
# One environment, built here and copied whole: pip's caches and the sources stay behind.
RUN python -m venv /opt/sterna \
    && /opt/sterna/bin/pip install --no-cache-dir --constraint requirements.lock ".[service,postgres]" \
    && /opt/sterna/bin/pip uninstall --yes pip

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin sterna \
    && install --directory --owner sterna --group sterna /var/lib/sterna
COPY --from=build /opt/sterna /opt/sterna
ENV PATH=/opt/sterna/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    STERNA_DATA_DIR=/var/lib/sterna
USER 10001:10001
WORKDIR /var/lib/sterna
VOLUME /var/lib/sterna
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/livez', timeout=5)"]
CMD ["python", "-m", "service", "--host", "0.0.0.0", "--port", "8000"]
