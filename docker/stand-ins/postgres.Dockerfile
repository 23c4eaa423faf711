# Stands in for postgres:17-bookworm where no image can be pulled: Debian's PostgreSQL, same user, folder and variables.
FROM python:3.11-slim-bookworm
RUN groupadd --gid 999 postgres && useradd --uid 999 --gid 999 --home-dir /var/lib/postgresql postgres \
    && apt-get update && apt-get install --yes --no-install-recommends postgresql-15 \
    && rm -rf /var/lib/apt/lists/* /var/lib/postgresql/15 \
    && install --directory --owner 999 --group 999 --mode 0700 /var/lib/postgresql/data
COPY postgres.sh /usr/local/bin/stand-in
ENV PATH=/usr/lib/postgresql/15/bin:$PATH PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["sh", "/usr/local/bin/stand-in"]
