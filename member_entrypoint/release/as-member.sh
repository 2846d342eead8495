# The release's programs read this before all else (release/tarball.py sees to it): what root asks of
# them, by `docker exec`, is done as the member's user. So root leaves no lock file, cookie, log or
# crash dump behind that the member cannot use, and runs no code that the member can have changed.
# That user is the one of PID 1, or the one that /etc/passwd has: the member can change neither. Who
# has the rendered configuration is a hint, and tells only which of the two it is. All programs are
# called by their paths.
if [ "${EUID:-$(/usr/bin/id -u)}" = 0 ]; then
    as_member=$(
        while IFS=: read -r name _ uid gid _; do
            if [ "$name" = mongooseim ]; then
                echo "$uid $gid"
                break
            fi
        done < /etc/passwd
    )
    first=$(/usr/bin/stat -c '%u %g' /proc/1 2> /dev/null) || first='0 0'
    hint=$(/usr/bin/stat -c %u /run/mongooseim/etc 2> /dev/null) || hint=0
    if [ "$hint" != 0 ] && [ "$hint" = "${first% *}" ]; then
        as_member=$first
    elif [ "$hint" != 0 ] && [ "$hint" != "${as_member% *}" ]; then
        echo "$0: the member seems to run as uid $hint; use docker exec --user $hint" >&2
        exit 126
    fi
    if [ -n "$as_member" ]; then
        # In `set`, the options of setpriv come before the program and its arguments.
        set -- --reuid "${as_member% *}" --regid "${as_member#* }" --clear-groups -- "$0" "$@"
        if /usr/bin/setpriv "$1" "$2" "$3" "$4" "$5" /usr/bin/true 2> /dev/null; then
            [ "${HOME:-/root}" != /root ] || export HOME=/run/mongooseim
            export USER=mongooseim LOGNAME=mongooseim
            exec /usr/bin/setpriv "$@"
        fi
        shift 7
        # A root that may become nobody. The member is that root, too, or it is another user.
        if [ "$hint" != 0 ] || [ "${first% *}" != 0 ]; then
            echo "$0: this container's root may not become another user;" \
                "use docker exec --user ${as_member% *}" >&2
            exit 126
        fi
    fi
    unset as_member first hint
elif [ ! -w "${HOME:-/}" ]; then
    # Erlang may keep a cookie there.
    export HOME=/run/mongooseim
fi
# The server runs from a folder of its own in the release, with a copy of this program.
case $0 in
    */.server/bin/*) ;;
    *)
        as_member=$(/usr/bin/readlink -f -- "$0")
        if [ -x "${as_member%/bin/*}/.server/bin/${as_member##*/}" ]; then
            exec "${as_member%/bin/*}/.server/bin/${as_member##*/}" "$@"
        fi
        unset as_member
        ;;
esac
# Where all lines of the log are JSON, so are those of the start script and of the bootstrap.
case ${BASH_VERSION:+${LOG_FORMAT:-}} in
    [jJ][sS][oO][nN])
        echo() {
            case $* in
                'Root: '* | 'Exec: '* | 'Execute '*) ;;
                *)
                    builtin echo "$@"
                    return
                    ;;
            esac
            local event=$* now=$EPOCHREALTIME time
            event=${event//\\/\\\\}
            event=${event//\"/\\\"}
            event=${event//[[:cntrl:]]/ }
            TZ=UTC0 printf -v time '%(%Y-%m-%dT%H:%M:%S)T' "${now%[.,]*}"
            now=${now#*[.,]}
            printf '{"timestamp": "%s.%sZ", "event": "%s", "level": "info"}\n' \
                "$time" "${now:0:3}" "$event"
        }
        ;;
esac
