package boot

import (
	"errors"
	"io/fs"
	"os"
)

// sudoPath is on the node's disk, so a learner may replace or remove it.
const sudoPath = "/usr/local/bin/sudo"

// sudoScript runs a command as it is: learners are root on their node, but commands that they copy
// from elsewhere often begin with sudo. It skips sudo's own options and takes variables like sudo
// does.
const sudoScript = `#!/bin/bash
# You are root on this machine, so no command needs sudo. This script only runs the command.
while [ $# -gt 0 ]; do
    case $1 in
    --) shift; break ;;
    -u | -g | -p | -h | -C | -D | -R | -T | -r | -t | -U) shift 2 ;;
    -i | -s | --login | --shell) shell=yes; shift ;;
    -*) shift ;;
    *=*) export "$1"; shift ;;
    *) break ;;
    esac
done
if [ $# -gt 0 ]; then exec "$@"; fi
if [ "$shell" ]; then exec bash; fi
echo "You are root on this machine: no command needs sudo." >&2
`

// writeSudo makes the script unless there is something in its place.
func writeSudo() error {
	f, err := os.OpenFile(sudoPath, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(sudoScript)
	return errors.Join(err, f.Close())
}
