# Runs in a node without its agent: loads the images that come on stdin into the data-root in /seed, gives them their
# names, and lays out the rest of a node's disk.
#
# Arguments: pairs of the name in the stream and the name to give.

mkdir -p /seed/docker /seed/disk
dockerd --data-root /seed/docker --exec-root /run/labd-seed --pidfile /run/labd-seed.pid --host unix:///run/labd-seed.sock \
    --storage-driver overlay2 --iptables=false --ip6tables=false --bridge none >/tmp/dockerd.log 2>&1 &
engine=$!
export DOCKER_HOST=unix:///run/labd-seed.sock
tries=0
until docker version >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ $tries -gt 300 ] || ! kill -0 $engine 2>/dev/null; then
        echo "the engine of the seed did not start:" >&2
        tail -n 30 /tmp/dockerd.log >&2
        exit 1
    fi
    sleep 0.1
done

echo "the engine of the seed is up"

docker load --quiet
names=
while [ $# -gt 0 ]; do
    docker tag "$1" "$2"
    names="$names $1"
    shift 2
done
printf '%s\n' $names | sort -u | xargs docker rmi --no-prune >/dev/null

kill -TERM $engine
wait $engine || true

for d in var etc root home tmp srv opt; do
    cp -a "/$d" "/seed/disk/$d"
done
cp -a /usr/local /seed/disk/usr-local
cd /seed/disk
# The engine that runs the node mounts its own over these three.
: >etc/hosts
: >etc/hostname
: >etc/resolv.conf
rm -rf tmp/* var/tmp/* var/lib/docker var/lib/containerd
