# Real machines with systemd and sshd. Target `host` has two agents from Debian's packages and memleash
# installed as docs/operations.md says; `control` watches over the hosts; `newcomer` has Prometheus and
# the network's stand-ins, and of memleash nothing; `openstack-host` is a host with a whole OpenStack.
FROM memleash-e2e/debian AS machine
ENV DEBIAN_FRONTEND=noninteractive container=docker
RUN apt-get update && apt-get install -y --no-install-recommends \
        systemd systemd-sysv dbus openssh-server sudo iproute2 procps curl \
        python3 python3-venv python3-pip \
        zabbix-agent collectd-core libmicrohttpd12 libprotobuf-c1 libpython3.11 \
    && rm -f /etc/ssh/ssh_host_* /etc/machine-id \
    && touch /etc/machine-id \
    && install -d /var/log/journal \
    && systemctl disable zabbix-agent.service collectd.service \
    && systemctl mask systemd-udevd.service systemd-logind.service getty.target console-getty.service
# Each machine makes its own host keys at its first boot.
RUN install -d /etc/systemd/system/ssh.service.d && printf '%s\n' '[Service]' 'ExecStartPre=' \
        'ExecStartPre=/usr/bin/ssh-keygen -A' 'ExecStartPre=/usr/sbin/sshd -t' \
        >/etc/systemd/system/ssh.service.d/keys.conf
STOPSIGNAL SIGRTMIN+3
CMD ["/sbin/init"]

FROM machine AS host
COPY wheels /wheels
RUN python3 -m venv /opt/memleash \
    && /opt/memleash/bin/pip install --no-cache-dir --no-index --find-links /wheels memleash
COPY demo /opt/demo/demo
COPY packaging/systemd/memleash-exporter.service /etc/systemd/system/
COPY packaging/systemd/memleash.tmpfiles.conf /etc/tmpfiles.d/memleash.conf
COPY packaging/systemd/memleash.sysusers.conf /etc/sysusers.d/memleash.conf
RUN systemd-sysusers memleash.conf
RUN useradd --system --create-home --shell /bin/sh memleash

FROM host AS control
RUN apt-get install -y --no-install-recommends prometheus prometheus-alertmanager openssh-client \
    && systemctl disable prometheus.service prometheus-alertmanager.service prometheus-node-exporter.service || true
RUN /opt/memleash/bin/pip install --no-cache-dir --no-index --find-links /wheels 'memleash[responder,postgres,nova]'
COPY packaging/systemd/memleash-responder.service /etc/systemd/system/

# An agent of each of two controllers that run for real; salt-minion itself is mounted.
FROM host AS controlled
RUN apt-get install -y --no-install-recommends slurmctld slurmd slurm-client \
    && systemctl disable slurmctld.service slurmd.service munge.service

FROM machine AS newcomer
RUN apt-get install -y --no-install-recommends prometheus prometheus-alertmanager \
        prometheus-blackbox-exporter openssl openssh-client \
    && systemctl disable prometheus.service prometheus-alertmanager.service \
        prometheus-blackbox-exporter.service prometheus-node-exporter.service || true
# What `git clone` and `pip install` find in place of GitHub and PyPI.
COPY wheels /srv/wheels
COPY memleash.git /srv/memleash.git
RUN printf '[install]\nno-index = true\nfind-links = /srv/wheels\n[wheel]\nno-index = true\nfind-links = /srv/wheels\n' \
        >/etc/pip.conf \
    && printf '[url "/srv/memleash.git"]\ninsteadOf = https://github.com/memleash/memleash\n[safe]\ndirectory = *\n' \
        >/etc/gitconfig
COPY demo /opt/demo/demo

# As far as nova-compute needs an OpenStack: Debian's own nova, placement, Keystone, RabbitMQ and MariaDB.
# Nothing begins at boot. The databases are made here, since that takes long.
FROM machine AS openstack
RUN printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d \
    && apt-get update && apt-get install -y --no-install-recommends -o DPkg::Options::=--force-unsafe-io \
        mariadb-server rabbitmq-server keystone placement-api python3-pymysql \
        nova-api nova-conductor nova-scheduler nova-compute nova-compute-ironic \
    && rm -r /usr/sbin/policy-rc.d /var/lib/apt/lists/* \
    && apt-get clean \
    && systemctl disable mariadb.service rabbitmq-server.service epmd.service keystone.service \
        placement-api.service nova-api.service nova-conductor.service nova-scheduler.service nova-compute.service
COPY nova /srv/nova
RUN cp -r --no-preserve=mode,ownership /srv/nova/. / && chmod 755 /usr/local/sbin/* \
    && sed -i 's/^processes = .*/processes = 3/' /etc/*/*-uwsgi.ini && /usr/local/sbin/make-databases \
    && systemctl disable nova-api-metadata.service

FROM openstack AS openstack-host
COPY --from=host /opt/memleash /opt/memleash
COPY packaging/systemd/memleash-exporter.service /etc/systemd/system/
COPY packaging/systemd/memleash.tmpfiles.conf /etc/tmpfiles.d/memleash.conf
COPY packaging/systemd/memleash.sysusers.conf /etc/sysusers.d/memleash.conf
RUN systemd-sysusers memleash.conf && useradd --system --create-home --shell /bin/sh memleash
