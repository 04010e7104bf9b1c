#!/bin/sh
# Replace a running Keyturn by a new one, with new code and settings, and lose no request.
#
#   gunicorn --pid keyturn.pid wsgi:app      # how it was started
#   flask db upgrade                         # what the new release needs, and the old one bears
#   sh restart.sh keyturn.pid
#
# The new server starts beside the old one, at the same sockets. Only when it has workers, the old
# one takes in nobody any more, answers all it has begun, and goes. If the new one cannot start, the
# old one goes on as if nothing had happened, and this ends with 1.
set -eu
pidfile=$1
seconds=60

until_true() {
    for _ in $(seq $((seconds * 10))); do
        if "$@"; then return 0; fi
        sleep 0.1
    done
    echo "restart.sh: gave up after $seconds seconds" >&2
    return 1
}

old=$(cat "$pidfile")
kill -USR2 "$old"
until_true test -s "$pidfile.2"
new=$(cat "$pidfile.2")

has_workers() {
    if ! kill -0 "$new" 2>/dev/null; then
        echo "restart.sh: the new server did not start; the log says why" >&2
        exit 1
    fi
    test -n "$(cat "/proc/$new/task/$new/children" 2>/dev/null)"
}
until_true has_workers
kill -TERM "$old"

renamed() { test "$(cat "$pidfile" 2>/dev/null)" = "$new"; }
until_true renamed
echo "restart.sh: $new has taken over from $old"
