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

// Limits on what is read of a course's history.
const (
	maxHistory = 20_000           // commits; a file that none of them touched has no date
	maxGitTime = 20 * time.Second // git that takes longer is stuck
	maxGitLine = 1 << 16          // bytes of one file name
	maxTracked = 200_000          // files that git may know in the content folder
)

// lastUpdated says when each file of the folder dir was last committed, by its path within dir. It knows nothing, and
// says so with nil, where there is no git, no repository or no full history: a shallow clone would give every file the
// date of its oldest commit. The history is read once, newest first, until every file has been seen.
func lastUpdated(ctx context.Context, dir string) map[string]time.Time {
	ctx, cancel := context.WithTimeout(ctx, maxGitTime)
	defer cancel()
	shallow, err := git(ctx, dir, "rev-parse", "--is-shallow-repository").Output()
	if err != nil || strings.TrimSpace(string(shallow)) != "false" {
		return nil
	}
	// Names are of bytes: -z, or git would quote some of them.
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
	stop() // what is left of the history does not matter
	if err := cmd.Wait(); readErr != nil || err != nil && !done {
		return nil
	}
	return dates
}

// readLog reads dates and names, and takes every name it finds from missing. It ends with the log or with missing.
//
// The log is a row of words that end with a zero byte: per commit \x01 and its time, then the names, the first of them
// behind a line feed. A name can look like a time; one that is looked for is a name.
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

// git is a call of git that neither asks, nor writes, nor fetches, nor runs what the repository's settings name.
func git(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append([]string{
		"--no-pager", "--literal-pathspecs", "-c", "core.fsmonitor=false", "-c", "log.showSignature=false", "-c", "log.follow=false", "-C", dir,
	}, args...)...)
	for _, v := range os.Environ() {
		// A hook's variables name another repository.
		if name, _, _ := strings.Cut(v, "="); !strings.HasPrefix(name, "GIT_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1", "LC_ALL=C")
	cmd.WaitDelay = time.Second
	return cmd
}
