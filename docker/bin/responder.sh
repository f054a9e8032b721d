#!/bin/sh
# The demo's responder: completes its configuration with what differs between the stack's two
# forms, and becomes it. PostgreSQL and a second Alertmanager are there in the profile `ha` alone,
# and so is the password.
set -eu
umask 077

config=/run/memleash/responder.yml
cat /etc/memleash/responder.yml >"$config"
if [ -s /secrets/database/password ]; then
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
