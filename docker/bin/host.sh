#!/bin/sh
# One host of the demo: its agent as a service, its exporter and its sshd, all as one user.
#
# GROW_MIB_PER_SECOND: how fast the agent leaks. BUSY_EVERY_SECONDS, BUSY_SECONDS: how often and
# for how long it dumps, silent all the while; 0 is never.
set -eu

service=/run/demo/agent
mkdir -p "$service" /run/demo/busy /run/demo/ssh
cat >"$service/command" <<COMMAND
env PYTHONPATH=$PYTHONPATH python3 -m demo.agent --listen 0.0.0.0:7070 --name sample-agent \
    --busy-directory /run/demo/busy --grow-mib-per-second ${GROW_MIB_PER_SECOND:-0}
COMMAND
/opt/demo/demo/service "$service" start

dump_now_and_then() {
    while sleep "$BUSY_EVERY_SECONDS"; do
        python3 - "$BUSY_SECONDS" <<'PYTHON' || true
import json, sys, urllib.request
body = json.dumps({"seconds": float(sys.argv[1])}).encode()
urllib.request.urlopen("http://127.0.0.1:7070/dump", body, timeout=5)
PYTHON
    done
}
[ "${BUSY_EVERY_SECONDS:-0}" = 0 ] || dump_now_and_then &

memleash-exporter --config.file=/opt/demo/configuration/configuration/exporter.yml &

# Its own copy: sshd wants a host key that is nobody else's to read.
install -m 600 "/secrets/hosts/$(hostname)" /run/demo/ssh/host_key
install -m 600 /secrets/hosts/authorized_keys /run/demo/ssh/authorized_keys
cat >/run/demo/ssh/sshd_config <<'CONFIG'
Port 2222
HostKey /run/demo/ssh/host_key
AuthorizedKeysFile /run/demo/ssh/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv PATH=/opt/memleash/bin:/usr/local/bin:/usr/bin:/bin
CONFIG
exec /usr/sbin/sshd -D -e -f /run/demo/ssh/sshd_config
