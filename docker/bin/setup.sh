#!/bin/sh
# Fills the volumes before anything else starts: setup.sh HOST...
#
# 1. the configuration, as it lies in this image, to /configuration and Grafana's two folders. No
#    file of the clone is mounted, so neither a umask nor SELinux keeps a container from reading it;
# 2. once, what has to be secret, and stands in no file of the project:
#    /secrets/hosts      each host's SSH key, and the login key that they accept
#    /secrets/responder  the login key, the hosts' public keys, and its tokens
#    /secrets/webhook    what Alertmanager needs of that, no more
# 3. no password of a database: the profile `ha` makes one, so its file tells the two forms apart.
set -eu

from=/opt/demo/configuration
for to in configuration grafana-provisioning grafana-dashboards; do
    rm -rf "/$to"/*
    cp -R "$from/$to/." "/$to"
done
rm -f /secrets/database/*

umask 077
[ ! -s /secrets/webhook/token ] || exit 0

key() { ssh-keygen -q -t ed25519 -N '' -C '' -f "$1" </dev/null; }
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

cd /secrets
rm -rf responder/* hosts/* webhook/*
key responder/login_key
cp responder/login_key.pub hosts/authorized_keys
for host in "$@"; do
    key "hosts/$host"
    printf '[%s]:2222 %s\n' "$host" "$(cat "hosts/$host.pub")" >>responder/known_hosts
done
random >responder/operator-token
umask 022 # Alertmanager's image has a user of its own
random >webhook/token
