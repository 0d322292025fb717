install -d -o redis -g redis /data
# The image has no service manager; Debian's unit files and configuration would only confuse.
rm -rf /etc/redis/redis.conf /etc/default/redis-server /etc/init.d/redis-server
