#!/bin/sh
# Make orphans: each is the child of a process that has ended, and belongs to PID 1 then.
# orphans.sh NUMBER; begins when /tmp/go is there, /tmp/made is there when it is done.
# The first lives until /tmp/go is there, for whoever wants to see that PID 1 has it.
(sh -c 'until [ -e /tmp/go ]; do sleep 0.1; done' &)
until [ -e /tmp/go ]; do sleep 0.1; done
number=0
while [ "$number" -lt "$1" ]; do
    (: &)
    number=$((number + 1))
done
echo "$number" > /tmp/made.new
mv /tmp/made.new /tmp/made
exec sleep infinity
