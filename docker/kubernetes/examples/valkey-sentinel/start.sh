#!/bin/sh
# Starts a pod's Valkey, or as `start.sh sentinel` what watches all of them, with the master that the sentinels name. Where
# none answers, as in the beginning, that is the first pod.
set -eu
umask 077
export REDISCLI_AUTH="$REDIS_PASSWORD"

named() {
    for sentinel in $SENTINELS; do
        set -- $(valkey-cli -t 1 -h "${sentinel%:*}" -p "${sentinel#*:}" \
            SENTINEL GET-MASTER-ADDR-BY-NAME gatehouse 2>/dev/null || true)
        if [ $# -eq 2 ]; then
            echo "$1 $2"
        fi
    done
}

masters=$(named)
# whoever names this pod may not have heard yet of its successor
master=$(echo "$masters" | grep -vxF "$ME" | head -n 1)
master=${master:-${masters:+$ME}}
master=${master:-$FIRST}

if [ "${1:-}" = sentinel ]; then
    # the same after a restart, or the others would count one more
    id=$(printf %040d "$(printf %s "$ME" | cksum | cut -d " " -f 1)")
    cat >"$FOLDER/sentinel.conf" <<END
bind ${LISTEN:-* -::*}
port $PORT
requirepass $REDIS_PASSWORD
sentinel myid $id
sentinel announce-ip ${ME% *}
sentinel announce-port $PORT
sentinel announce-hostnames yes
sentinel resolve-hostnames yes
sentinel sentinel-pass $REDIS_PASSWORD
sentinel monitor gatehouse $master 2
sentinel auth-pass gatehouse $REDIS_PASSWORD
sentinel down-after-milliseconds gatehouse ${DOWN_AFTER:-5000}
sentinel failover-timeout gatehouse 30000
END
    exec valkey-server "$FOLDER/sentinel.conf" --sentinel
fi

cat >"$FOLDER/valkey.conf" <<END
bind ${LISTEN:-* -::*}
port $PORT
dir $DATA
appendonly yes
requirepass $REDIS_PASSWORD
masterauth $REDIS_PASSWORD
replica-announce-ip ${ME% *}
replica-announce-port $PORT
repl-diskless-sync-delay 0
# a master that is cut off from the others takes nothing, and is not believed
min-replicas-to-write 1
END
if [ "$master" != "$ME" ]; then
    echo "replicaof $master" >>"$FOLDER/valkey.conf"
fi
exec valkey-server "$FOLDER/valkey.conf"
