#!/bin/sh
# Makes the database's password, in the profile `ha` alone. PostgreSQL's image has a user of its own.
set -eu
umask 022
od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >/secrets/database/password
