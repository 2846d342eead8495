# The release's programs read this before all else (install.py sees to it): what root asks of them,
# by `docker exec`, is done as the user that the member runs as, the owner of the configuration that
# is in use. So root leaves no lock file, cookie, log or crash dump behind that the member cannot use.
if [ "${EUID:-$(id -u)}" = 0 ]; then
    # No link is followed: the member could have it lead to what is root's.
    as_member=$(
        stat -c '%u %g' /run/mongooseim/etc 2> /dev/null ||
            stat -c '%u %g' /run/mongooseim 2> /dev/null
    ) || as_member='0 0'
    if [ "${as_member% *}" != 0 ]; then
        # In `set`, the options of setpriv come before the program and its arguments.
        set -- --reuid "${as_member% *}" --regid "${as_member#* }" --clear-groups -- "$0" "$@"
        if ! setpriv "$1" "$2" "$3" "$4" "$5" true 2> /dev/null; then
            echo "$0: this container's root may not become another user;" \
                "use docker exec --user ${as_member% *}" >&2
            exit 126
        fi
        [ "${HOME:-/root}" != /root ] || export HOME=/run/mongooseim
        export USER=mongooseim LOGNAME=mongooseim
        exec setpriv "$@"
    fi
    unset as_member
elif [ ! -w "${HOME:-/}" ]; then
    # Erlang may keep a cookie there.
    export HOME=/run/mongooseim
fi
