# What is put into /out becomes the image.
mkdir -p /out/bin /out/etc /out/root /out/home /out/tmp /out/usr/bin /out/usr/sbin /out/sbin /out/var/www /out/var/spool/mail
chmod 1777 /out/tmp
chmod 700 /out/root
install -m 755 /bin/busybox /out/bin/busybox
for applet in $(/bin/busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "/out/bin/$applet"
done
cat >/out/etc/passwd <<'END'
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
END
cat >/out/etc/group <<'END'
root:x:0:
daemon:x:1:
www-data:x:33:
nogroup:x:65534:
END
printf 'hosts: files dns\n' >/out/etc/nsswitch.conf
