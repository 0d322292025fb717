# gVisor implements the legacy tables; with nftables the engine's DNS for user networks fails.
update-alternatives --set iptables /usr/sbin/iptables-legacy
update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy
update-alternatives --set editor /bin/nano

# Shells read it at the first Tab, see .bashrc.
rm -f /etc/profile.d/bash_completion.sh

# Overlay2 needs no helper, and its presence makes the engine choose it.
if [ -e /usr/bin/fuse-overlayfs ]; then
    echo "fuse-overlayfs must not be in the node image" >&2
    exit 1
fi

# Each learner's disk starts with a copy of /etc and /var. What never changes is moved to the shared, read-only /usr, and
# what only a package manager or an init system reads is dropped.
mv /var/lib/dpkg /usr/lib/dpkg-db
ln -s /usr/lib/dpkg-db /var/lib/dpkg
mv /etc/ssl/certs /usr/lib/ssl-certs
ln -s /usr/lib/ssl-certs /etc/ssl/certs
rm -rf /var/cache/debconf /var/cache/apt /var/lib/apt /var/lib/pam /var/lib/systemd /var/backups \
    /etc/apt /etc/rc?.d /etc/init.d /etc/systemd /etc/cron.daily /etc/logrotate.d /etc/kernel /etc/ca-certificates \
    /etc/*- /opt/containerd
mkdir -p /etc/docker

# Each directory that is mounted from the disk delays a node's start by some milliseconds, so the seldom used ones lead to /var.
for dir in home srv opt; do
    mv "/$dir" "/var/$dir"
    ln -s "var/$dir" "/$dir"
done
# /var/local is Debian's own and empty.
rmdir /var/local
mv /usr/local /var/local
ln -s ../var/local /usr/local
