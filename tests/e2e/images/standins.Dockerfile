# What stands in for the public images of docker/compose.yaml where nothing can be pulled: the same
# programs from Debian's packages, with the entry points that the compose file relies on.
FROM memleash-e2e/debian AS debian
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update

# python:3.13-slim-bookworm
FROM debian AS python
RUN apt-get install -y --no-install-recommends python3 python3-venv python3-pip

# Busybox's wget is what the public images have for their health checks.
FROM debian AS prometheus-and-friends
RUN apt-get install -y --no-install-recommends busybox prometheus prometheus-alertmanager \
        prometheus-blackbox-exporter \
    && ln -s /bin/busybox /usr/local/bin/wget && install -d -m 1777 /data
USER nobody

# prom/prometheus
FROM prometheus-and-friends AS prometheus
ENTRYPOINT ["/usr/bin/prometheus"]

# prom/alertmanager
FROM prometheus-and-friends AS alertmanager
ENTRYPOINT ["/usr/bin/prometheus-alertmanager"]

# prom/blackbox-exporter, which names no user
FROM prometheus-and-friends AS blackbox
USER root
ENTRYPOINT ["/usr/bin/prometheus-blackbox-exporter"]

# postgres:17-bookworm
FROM debian AS postgres
RUN apt-get install -y --no-install-recommends postgresql \
    && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ \
    && install -d -m 1777 /database && chmod 3777 /var/run/postgresql
COPY postgres.sh /usr/local/bin/docker-entrypoint.sh
ENTRYPOINT ["sh", "/usr/local/bin/docker-entrypoint.sh"]
