# Paths and the user are those of the nginx project's own image, so that mounts from any tutorial work.
useradd --system --no-create-home --home-dir /nonexistent --shell /bin/false --user-group nginx
rm -rf /etc/nginx/sites-enabled /etc/nginx/sites-available /var/www/html
ln -sf /dev/stdout /var/log/nginx/access.log
ln -sf /dev/stderr /var/log/nginx/error.log
chown nginx:nginx /var/lib/nginx
nginx -t
rm -f /run/nginx.pid
