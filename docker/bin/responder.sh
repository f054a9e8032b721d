#!/bin/sh
# The demo's responder: completes its configuration with what differs between the stack's two
# forms, and becomes it. PostgreSQL and a second Alertmanager are there in the profile `ha` alone;
# Compose starts this only when PostgreSQL is healthy, so its name tells which form this is.
set -eu
umask 077

config=/run/memleash/responder.yml
cat /etc/memleash/responder.yml >"$config"
if getent hosts postgres >/dev/null; then
    cat >>"$config" <<YAML
database: postgresql://memleash:$(cat /secrets/database/password)@postgres/memleash
alertmanager: {urls: ["http://alertmanager-1:9093", "http://alertmanager-2:9093"]}
YAML
else
    cat >>"$config" <<'YAML'
database: sqlite:////var/lib/memleash/responder.db
alertmanager: {urls: ["http://alertmanager-1:9093"]}
YAML
fi
exec memleash-responder --config.file="$config" --web.listen-address=:10059
