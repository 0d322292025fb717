#!/bin/sh
set -e

# `docker run redis --port 7000` and `docker run redis /some/redis.conf` mean redis-server with these arguments.
case "${1-}" in
    -* | *.conf) set -- redis-server "$@" ;;
esac

if [ "$1" = redis-server ]; then
    # Debian's build refuses clients from other machines unless told otherwise; in a container all clients are others.
    # What the user's file or arguments say about it comes first.
    protected=said
    case " $* " in
        *' --protected-mode '*) ;;
        *)
            case "${2-}" in
                *.conf) grep -Eqi '^[[:space:]]*protected-mode[[:space:]]' "$2" || protected= ;;
                *) protected= ;;
            esac
            ;;
    esac
    [ "$protected" ] || set -- "$@" --protected-mode no

    # Root only prepares the data directory; the server runs as redis.
    if [ "$(id -u)" = 0 ]; then
        find . \! -user redis -exec chown redis '{}' +
        umask 0077
        exec setpriv --reuid=redis --regid=redis --clear-groups -- "$@"
    fi
fi

exec "$@"
