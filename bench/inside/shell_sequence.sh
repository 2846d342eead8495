#!/usr/bin/env bash
# What the shell version does to bring a fresh node into a cluster: boot, join, stop, boot again.
# shell_sequence.sh NODE; the configuration is rendered already, which the shell version does with
# a few calls of sed.
set -e
bin=/usr/lib/mongooseim/.server/bin
"$bin/mongooseim" start
"$bin/mongooseimctl" started
"$bin/mongooseimctl" status
"$bin/mongooseimctl" join_cluster -f "$1"
"$bin/mongooseim" stop
echo "joined, starting for good"
exec "$bin/mongooseim" live --noshell -noinput +Bd
