#!/bin/sh
# Makes what has to be secret, once, into volumes: nothing of it stands in a file of the project.
#
# 1. /secrets/hosts: each host's SSH key, and the login key that they accept
# 2. /secrets/responder: the login key, the hosts' public keys, and its tokens
# 3. /secrets/webhook, /secrets/database: what Alertmanager and PostgreSQL need of that, no more
set -eu
umask 077
[ ! -s /secrets/database/password ] || exit 0

key() { ssh-keygen -q -t ed25519 -N '' -C '' -f "$1" </dev/null; }
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

cd /secrets
rm -rf responder/* hosts/* webhook/* database/*
key responder/login_key
cp responder/login_key.pub hosts/authorized_keys
for host in "$@"; do
    key "hosts/$host"
    printf '[%s]:2222 %s\n' "$host" "$(cat "hosts/$host.pub")" >>responder/known_hosts
done
random >responder/operator-token
# These two are read by programs of other images, which run as users of their own.
umask 022
random >webhook/token
random >database/password
