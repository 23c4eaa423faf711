# Stands in for valkey/valkey:8.1-bookworm where no image can be pulled: Debian's Redis under Valkey's names.
FROM python:3.11-slim-bookworm
RUN groupadd --gid 999 valkey && useradd --uid 999 --gid 999 valkey \
    && apt-get update && apt-get install --yes --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/* \
    && ln -s /usr/bin/redis-server /usr/local/bin/valkey-server && ln -s /usr/bin/redis-cli /usr/local/bin/valkey-cli
