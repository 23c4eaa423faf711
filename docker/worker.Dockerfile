# A worker, with torch and bubblewrap. From the top of the repository: docker build --file docker/worker.Dockerfile .
# TORCH_INDEX decides which build of torch it gets: empty, pip's own, on x86 that for CUDA; the address of PyTorch's index
# for CPUs, which the installation page of pytorch.org names, gives the much smaller one for processors.
FROM python:3.11-slim-bookworm AS build
ARG TORCH_INDEX=
WORKDIR /src
COPY requirements.lock .
# First and alone, since it is large and seldom changes. Its dependencies come with everything else.
RUN python -m venv /opt/sterna \
    && /opt/sterna/bin/pip install --no-cache-dir --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} \
        "$(grep ^torch== requirements.lock)"
COPY . .
RUN /opt/sterna/bin/pip install --no-cache-dir --constraint requirements.lock ".[worker,postgres,bundles]" \
    && /opt/sterna/bin/pip uninstall --yes pip

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin sterna \
    && install --directory --owner sterna --group sterna /var/lib/sterna
COPY --from=build /opt/sterna /opt/sterna
ENV PATH=/opt/sterna/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    STERNA_DATA_DIR=/var/lib/sterna
USER 10001:10001
WORKDIR /var/lib/sterna
VOLUME /var/lib/sterna
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s CMD ["python", "-m", "workers.health"]
CMD ["python", "-m", "workers"]
