# The S3-compatible store of docker-compose.yml: SeaweedFS, as a user of its own and with a folder that is this user's.
FROM chrislusf/seaweedfs:4.48
USER 0
RUN mkdir -p /var/lib/seaweedfs && chown 10002:10002 /var/lib/seaweedfs
USER 10002:10002
WORKDIR /var/lib/seaweedfs
VOLUME /var/lib/seaweedfs
EXPOSE 8333
# Master, volume and filer know no keys: they listen on loopback alone, S3 on every address.
ENTRYPOINT ["/usr/bin/weed"]
CMD ["server", "-dir=/var/lib/seaweedfs", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-s3.ip.bind=0.0.0.0", \
    "-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=0", "-volume.preStopSeconds=1", \
    "-master.volumeSizeLimitMB=1024", "-master.telemetry=false"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8333/healthz"]
