package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// measureEdits: changes of a lesson to the page served, and to the search index, in a live preview of a large course, beside
// Hugo's live page after an edit of the text; and the preview's memory after all of them.
func measureEdits(ctx context.Context, s *siteBench) ([]row, error) {
	c, err := s.course(largeCourse)
	if err != nil {
		return nil, err
	}
	const module, lesson = "module-010", "lesson-00500"
	changes, err := changesOf(c.content, module, lesson)
	if err != nil {
		return nil, err
	}
	ours, err := s.serve(ctx, s.dir, s.sitegen, "serve", "-content", c.content, "-addr")
	if err != nil {
		return nil, err
	}
	defer ours.stop()
	var rows []row
	var ourText time.Duration
	for n, change := range changes {
		page, index, err := ours.time(ctx, change, true)
		if err != nil {
			return nil, err
		}
		p, i := quantile(page, 0.5), quantile(index, 0.5)
		if n == 0 {
			ourText = p
		}
		rows = append(rows,
			row{figure: fmt.Sprintf("%s to the page served, %d lessons, p50 of %d", change.what, largeCourse, edits), ours: short(p),
				floor: "-", goal: "at most 40 ms", met: p <= 40*time.Millisecond},
			row{figure: fmt.Sprintf("%s to the search index, %d lessons, p50 of %d", change.what, largeCourse, edits), ours: short(i),
				floor: "Hugo: stale", goal: "at most 150 ms", met: i <= 150*time.Millisecond})
	}
	memory, err := rssOf(ours.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	rows = append(rows, row{figure: "memory of the preview after that", ours: fmt.Sprintf("%d MiB", memory>>20), floor: "-", goal: "-", met: true})
	ours.stop()
	program, err := buildHugo(ctx)
	if err != nil {
		return rows, err
	}
	hugo, err := s.serve(ctx, c.hugoSite, program, "server", "--quiet", "--renderToMemory", "--disableLiveReload", "--bind", "127.0.0.1", "--port")
	if err != nil {
		return rows, err
	}
	defer hugo.stop()
	file := filepath.Join(c.hugoSite, "content", module, lesson+".md")
	text, err := os.ReadFile(file)
	if err != nil {
		return rows, err
	}
	page, _, err := hugo.time(ctx, change{
		what: "a text", word: "text", page: changes[0].page,
		do: func(_ int, word string) error {
			return os.WriteFile(file, append(text[:len(text):len(text)], word...), 0o644)
		},
	}, false)
	if err != nil {
		return rows, err
	}
	h := quantile(page, 0.5)
	rows[0].floor, rows[0].ratio = "Hugo "+short(h), float64(ourText)/float64(h)
	return rows, nil
}

// server is a live preview.
type server struct {
	cmd  *exec.Cmd
	base string
}

// serve starts a program with an address (or a port) of its own as the last argument, and returns once it answers.
func (s *siteBench) serve(ctx context.Context, dir, name string, args ...string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	last := addr
	if args[len(args)-1] == "--port" {
		_, last, _ = strings.Cut(addr, ":")
	}
	cmd := exec.CommandContext(ctx, name, append(args, last)...)
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	v := &server{cmd: cmd, base: "http://" + addr}
	for deadline := time.Now().Add(maxServe); ; {
		if _, err := fetch(ctx, v.base+"/"); err == nil {
			return v, nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			v.stop()
			return nil, fmt.Errorf("%s %s answered nothing in %v", filepath.Base(name), args[0], maxServe)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// stop ends the preview and waits for it. A second call does nothing.
func (v *server) stop() {
	if v.cmd.ProcessState == nil {
		_ = v.cmd.Process.Signal(syscall.SIGTERM)
		_ = v.cmd.Wait() // ended by the signal
	}
}

var errNotThere = errors.New("not there")

func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotFound {
		return nil, errNotThere
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, res.Status)
	}
	return io.ReadAll(res.Body)
}

// change is something that authors do, again and again.
type change struct {
	what string
	word string                         // what words begin with
	do   func(n int, word string) error // puts word where it will be found, or takes it away
	page func(n int) string             // address of the lesson
	gone bool                           // then there is neither the page nor the word
}

// changesOf are the changes of a course that are measured: those of one lesson, and new ones in its module that go away again.
func changesOf(content, module, lesson string) ([]change, error) {
	file := filepath.Join(content, "en", module, lesson+".md")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	title := []byte("title = \"")
	if !bytes.Contains(text, title) {
		return nil, fmt.Errorf("%s has no title", file)
	}
	other := func(n int) string { return fmt.Sprintf("new-%d", n) }
	otherFile := func(n int) string { return filepath.Join(content, "en", module, other(n)+".md") }
	own := func(int) string { return "/" + module + "/" + lesson + "/" }
	others := func(n int) string { return "/" + module + "/" + other(n) + "/" }
	return []change{
		{what: "a text", word: "text", page: own, do: func(_ int, word string) error {
			return os.WriteFile(file, append(text[:len(text):len(text)], "\nThe word is "+word+".\n"...), 0o644)
		}},
		{what: "a title", word: "title", page: own, do: func(_ int, word string) error {
			return os.WriteFile(file, bytes.Replace(text, title, append(title[:len(title):len(title)], word+" "...), 1), 0o644)
		}},
		{what: "a weight", word: "weight", page: own, do: func(n int, word string) error {
			changed := regexp.MustCompile(`(?m)^weight = .*`).ReplaceAll(text, fmt.Appendf(nil, "weight = %d", n+1))
			return os.WriteFile(file, append(changed, "\nThe word is "+word+".\n"...), 0o644)
		}},
		{what: "a new file", word: "file", page: others, do: func(n int, word string) error {
			return os.WriteFile(otherFile(n), append(text[:len(text):len(text)], "\nThe word is "+word+".\n"...), 0o644)
		}},
		{what: "a deleted file", word: "file", page: others, gone: true, do: func(n int, _ string) error { return os.Remove(otherFile(n)) }},
	}, nil
}

// time makes a change a few times, with a new word each, and returns how long until the page and the search have it.
func (v *server) time(ctx context.Context, c change, search bool) (page, index []time.Duration, err error) {
	for n := range edits + 1 {
		word := fmt.Sprintf("zyx%s%d", c.word, n)
		begin := time.Now()
		if err := c.do(n, word); err != nil {
			return nil, nil, err
		}
		if err := v.wait(ctx, func() (bool, error) {
			body, err := fetch(ctx, v.base+c.page(n))
			if c.gone {
				return errors.Is(err, errNotThere), nil
			}
			return bytes.Contains(body, []byte(word)), err
		}); err != nil {
			return nil, nil, fmt.Errorf("%s, %d, on the page: %w", c.what, n, err)
		}
		served := time.Since(begin)
		if search {
			if err := v.wait(ctx, func() (bool, error) {
				found, err := v.finds(ctx, word)
				return found != c.gone, err
			}); err != nil {
				return nil, nil, fmt.Errorf("%s, %d, in the search: %w", c.what, n, err)
			}
		}
		if n > 0 { // the first one warms up
			page, index = append(page, served), append(index, time.Since(begin))
		}
		time.Sleep(300 * time.Millisecond)
	}
	return page, index, nil
}

func (v *server) wait(ctx context.Context, done func() (bool, error)) error {
	var last error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		ok, err := done()
		if ok {
			return nil
		}
		last = err
	}
	return errors.Join(errors.New("not there after a minute"), last, ctx.Err())
}

// finds says whether the search index has a term, looked up as the browser does: the file of its longest known prefix.
func (v *server) finds(ctx context.Context, term string) (bool, error) {
	data, err := fetch(ctx, v.base+"/search/index.json")
	if err != nil {
		return false, err
	}
	var index struct{ Prefixes []string }
	if err := json.Unmarshal(data, &index); err != nil {
		return false, err
	}
	prefix := ""
	for _, p := range index.Prefixes {
		if strings.HasPrefix(term, p) && len(p) > len(prefix) {
			prefix = p
		}
	}
	data, err = fetch(ctx, v.base+"/search/t-"+prefix+".json")
	if errors.Is(err, errNotThere) {
		return false, nil
	}
	return bytes.Contains(data, []byte(`"`+term+`"`)), err
}
