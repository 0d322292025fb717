package cli

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Limits for reading a course's Git history.
const (
	maxHistory = 20_000           // commits; files that are not in the newest ones have no date
	maxGitTime = 20 * time.Second // then git is killed
	maxGitLine = 1 << 16          // bytes of one file name
	maxTracked = 200_000          // files in the content folder
)

// lastUpdated returns when each file of the folder dir was last committed, by its path in dir. It
// returns nil if there is no Git, no repository, or only a shallow clone, in which all files would
// have the date of the oldest commit. The history is read once, newest first, until every file was
// found.
func lastUpdated(ctx context.Context, dir string) map[string]time.Time {
	ctx, cancel := context.WithTimeout(ctx, maxGitTime)
	defer cancel()
	shallow, err := git(ctx, dir, "rev-parse", "--is-shallow-repository").Output()
	if err != nil || strings.TrimSpace(string(shallow)) != "false" {
		return nil
	}
	// With -z, git does not quote names.
	list, err := git(ctx, dir, "ls-files", "-z").Output()
	if err != nil {
		return nil
	}
	missing := map[string]bool{}
	for name := range bytes.SplitSeq(list, []byte{0}) {
		if len(name) > 0 && len(missing) < maxTracked {
			missing[string(name)] = true
		}
	}
	logs, stop := context.WithCancel(ctx)
	defer stop()
	cmd := git(logs, dir, "log", "-z", "--format=%x01%ct", "--name-only", "--no-renames", "--relative",
		"--diff-filter=d", "--no-show-signature", "-n", strconv.Itoa(maxHistory), "--", ".")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil
	}
	if err := cmd.Start(); err != nil {
		return nil
	}
	dates, readErr := readLog(out, missing)
	done := len(missing) == 0
	stop() // the rest of the history is not needed
	if err := cmd.Wait(); readErr != nil || err != nil && !done {
		return nil
	}
	return dates
}

// readLog parses the output of git log, and deletes every name that it finds from missing. It ends
// with the log, or when missing is empty.
//
// The log is a sequence of words that end with a zero byte. For each commit there is \x01 and its
// time, then the names of its files, the first of which follows a line feed. A file name can look
// like a time, so words are first looked up in missing.
func readLog(r io.Reader, missing map[string]bool) (map[string]time.Time, error) {
	dates := map[string]time.Time{}
	words := bufio.NewScanner(r)
	words.Buffer(nil, maxGitLine)
	words.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, 0); i >= 0 {
			return i + 1, data[:i], nil
		}
		return 0, nil, nil
	})
	var at time.Time
	first := false
	for len(missing) > 0 && words.Scan() {
		name := words.Text()
		if first {
			name = strings.TrimPrefix(name, "\n")
			first = false
		}
		if missing[name] {
			delete(missing, name)
			dates[name] = at
			continue
		}
		if stamp, ok := strings.CutPrefix(words.Text(), "\x01"); ok {
			if seconds, err := strconv.ParseInt(stamp, 10, 64); err == nil {
				at, first = time.Unix(seconds, 0).UTC(), true
			}
		}
	}
	return dates, words.Err()
}

// git returns a git command that asks for nothing, writes and fetches nothing, and runs no programs
// from the repository's configuration.
func git(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append([]string{
		"--no-pager", "--literal-pathspecs", "-c", "core.fsmonitor=false", "-c", "log.showSignature=false", "-c", "log.follow=false", "-C", dir,
	}, args...)...)
	for _, v := range os.Environ() {
		// In a Git hook, these variables point to another repository.
		if name, _, _ := strings.Cut(v, "="); !strings.HasPrefix(name, "GIT_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1", "LC_ALL=C")
	cmd.WaitDelay = time.Second
	return cmd
}
