package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/labd-dev/labd/site/corpus"
)

const (
	smallCourse = 1_000 // lessons
	largeCourse = 10_000
	smallRounds = 3 // builds of each program, in turn
	largeRounds = 2
	edits       = 10
	// A vault of notes as one that somebody really has.
	vaultNotes    = 796
	vaultPictures = 990
	maxServe      = 3 * time.Minute // until a served preview answers
)

// siteBench holds sitegen, Hugo, and generated courses for both in a temporary folder.
type siteBench struct {
	sitegen, dir string
}

// courseDirs are the folders of a generated course for the two programs.
type courseDirs struct{ content, hugoSite string }

func newSiteBench(sitegen string) (*siteBench, error) {
	sitegen, err := filepath.Abs(sitegen)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sitegen-bench-")
	if err != nil {
		return nil, err
	}
	return &siteBench{sitegen: sitegen, dir: dir}, nil
}

func (s *siteBench) close() { _ = os.RemoveAll(s.dir) }

func (s *siteBench) course(n int) (courseDirs, error) {
	dir := filepath.Join(s.dir, strconv.Itoa(n))
	c := courseDirs{filepath.Join(dir, "content"), filepath.Join(dir, "hugo")}
	if _, err := os.Stat(dir); err == nil {
		return c, nil
	}
	return c, writeCourses(c, n)
}

// used is the resources that a run of a program used.
type used struct {
	wall time.Duration
	cpu  time.Duration // of all cores, in user and system mode
	rss  int64         // peak, in bytes
}

// measured runs a program and measures it.
func measured(ctx context.Context, dir, name string, args ...string) (used, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return used{}, fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), args[0], err, tail(out.Bytes()))
	}
	u := used{wall: time.Since(begin)}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.rss = usage.Maxrss << 10
		u.cpu = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return u, nil
}

func tail(b []byte) []byte { return b[max(0, len(b)-2000):] }

func (s *siteBench) buildOurs(ctx context.Context, c courseDirs, out string, extra ...string) (used, error) {
	args := append([]string{"build", "-content", c.content, "-out", out, "-base-url", "https://course.example/", "-cards=off", "-cache="}, extra...)
	return measured(ctx, s.dir, s.sitegen, args...)
}

func (s *siteBench) buildHugo(ctx context.Context, c courseDirs, out string) (used, error) {
	// Builds start without a cache, so remove what Hugo stored in resources/.
	_ = os.RemoveAll(filepath.Join(c.hugoSite, "resources"))
	hugo, err := buildHugo(ctx)
	if err != nil {
		return used{}, err
	}
	return measured(ctx, c.hugoSite, hugo, "--minify", "--destination", out, "--cacheDir", filepath.Join(s.dir, "hugo-cache"))
}

// measureBuilds measures full builds without a cache and builds without changes, in turn with Hugo, and peak memory.
func measureBuilds(ctx context.Context, s *siteBench) ([]row, error) {
	type result struct{ ours, hugo, again, hugoAgain []used }
	run := func(n, rounds int) (result, error) {
		var r result
		c, err := s.course(n)
		if err != nil {
			return r, err
		}
		for round := range rounds {
			// Folders of their own: a file system is slow for minutes after many files were removed, and that would be counted to
			// whoever builds first.
			out := filepath.Join(s.dir, fmt.Sprintf("out-%d-%d", n, round))
			hugoOut := out + "-hugo"
			for _, step := range []struct {
				into *[]used
				run  func() (used, error)
			}{
				{&r.ours, func() (used, error) { return s.buildOurs(ctx, c, out) }},
				{&r.hugo, func() (used, error) { return s.buildHugo(ctx, c, hugoOut) }},
				{&r.again, func() (used, error) { return s.buildOurs(ctx, c, out) }},
				{&r.hugoAgain, func() (used, error) { return s.buildHugo(ctx, c, hugoOut) }},
			} {
				u, err := step.run()
				if err != nil {
					return r, err
				}
				*step.into = append(*step.into, u)
			}
		}
		return r, nil
	}
	small, err := run(smallCourse, smallRounds)
	if err != nil {
		return nil, err
	}
	large, err := run(largeCourse, largeRounds)
	if err != nil {
		return nil, err
	}
	growth := float64(best(large.ours, wallOf)) / float64(best(small.ours, wallOf)) / (largeCourse / smallCourse)
	again := func(n int, r result) row {
		return wallRow(fmt.Sprintf("build again, nothing changed, %d lessons", n), r.again, r.hugoAgain, 0.05)
	}
	return []row{
		wallRow(fmt.Sprintf("full build, %d lessons, best of %d", smallCourse, smallRounds), small.ours, small.hugo, 0.3),
		cpuRow(fmt.Sprintf("its CPU time, %d lessons", smallCourse), small.ours, small.hugo, 0.3),
		wallRow(fmt.Sprintf("full build, %d lessons, best of %d", largeCourse, largeRounds), large.ours, large.hugo, 0.3),
		cpuRow(fmt.Sprintf("its CPU time, %d lessons", largeCourse), large.ours, large.hugo, 0.3),
		memoryRow(fmt.Sprintf("peak memory, %d lessons", largeCourse), large.ours, large.hugo, 0.12),
		again(smallCourse, small), again(largeCourse, large),
		{figure: fmt.Sprintf("growth of wall time from %d to %d lessons, per lesson", smallCourse, largeCourse), ours: fmt.Sprintf("%.2f x", growth),
			floor: "1.00 x", ratio: growth, goal: "at most 1.15 x", met: growth <= 1.15},
	}, nil
}

// measurePictures checks and builds notes with many pictures with an empty cache, and builds them again after an edit, with all
// pictures in the cache.
func measurePictures(ctx context.Context, s *siteBench) ([]row, error) {
	dir := filepath.Join(s.dir, "vault")
	if err := writeVault(dir, vaultNotes, vaultPictures); err != nil {
		return nil, err
	}
	cache := filepath.Join(s.dir, "vault-cache")
	check, err := measured(ctx, s.dir, s.sitegen, "check", "-content", dir, "-cache", cache)
	if err != nil {
		return nil, err
	}
	args := func(out string) []string {
		return []string{"build", "-content", dir, "-out", filepath.Join(s.dir, out), "-cards=off", "-cache", cache}
	}
	first, err := measured(ctx, s.dir, s.sitegen, args("vault-out")...)
	if err != nil {
		return nil, err
	}
	index := filepath.Join(dir, "en", "_index.md")
	if err := os.WriteFile(index, []byte("+++\ntitle = \"Edited\"\n+++\n"), 0o644); err != nil {
		return nil, err
	}
	again, err := measured(ctx, s.dir, s.sitegen, args("vault-out")...)
	if err != nil {
		return nil, err
	}
	value := func(what string, d, goal time.Duration) row {
		return row{figure: fmt.Sprintf("%d notes with %d pictures: %s", vaultNotes, vaultPictures, what), ours: short(d), floor: "-",
			goal: "at most " + short(goal), met: d <= goal}
	}
	return []row{
		value("check", check.wall, 3*time.Second),
		value("first build", first.wall, 40*time.Second),
		value("its CPU time", first.cpu, 80*time.Second),
		value("build after an edit", again.wall, 3*time.Second),
	}, nil
}

// writeVault puts a vault of notes with pictures on disk, several files at a time.
func writeVault(dir string, notes, pictures int) error {
	vault, err := corpus.NewVault(notes, pictures)
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, name := range vault.Files() {
		g.Go(func() error {
			data, err := vault.File(name)
			if err != nil {
				return err
			}
			target := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
				return err
			}
			return os.WriteFile(target, data, 0o644)
		})
	}
	return g.Wait()
}

func wallOf(u used) time.Duration { return u.wall }
func cpuOf(u used) time.Duration  { return u.cpu }

// best returns the smallest of the measured times.
func best(us []used, of func(used) time.Duration) time.Duration {
	b := of(us[0])
	for _, u := range us {
		b = min(b, of(u))
	}
	return b
}

func wallRow(figure string, ours, floor []used, goal float64) row {
	return timeRow(figure, ours, floor, goal, wallOf)
}

func cpuRow(figure string, ours, floor []used, goal float64) row {
	return timeRow(figure, ours, floor, goal, cpuOf)
}

func timeRow(figure string, ours, floor []used, goal float64, of func(used) time.Duration) row {
	o, f := best(ours, of), best(floor, of)
	ratio := float64(o) / float64(f)
	return row{figure: figure, ours: short(o), floor: "Hugo " + short(f), ratio: ratio, goal: fmt.Sprintf("at most %.2f x", goal), met: ratio <= goal}
}

func memoryRow(figure string, ours, floor []used, goal float64) row {
	most := func(us []used) (m int64) {
		for _, u := range us {
			m = max(m, u.rss)
		}
		return m
	}
	o, f := most(ours), most(floor)
	ratio := float64(o) / float64(f)
	return row{figure: figure, ours: fmt.Sprintf("%d MiB", o>>20), floor: fmt.Sprintf("Hugo %d MiB", f>>20), ratio: ratio,
		goal: fmt.Sprintf("at most %.2f x", goal), met: ratio <= goal}
}

var (
	styleLink  = regexp.MustCompile(`<link rel="?stylesheet"?[^>]*href="?([^" >]+)`)
	scriptLink = regexp.MustCompile(`<script[^>]*src="?([^" >]+)`)
	preload    = regexp.MustCompile(`<link rel="?modulepreload"?[^>]*href="?([^" >]+)`)
)

// measureWeight measures the largest download for a lesson of our own course, with gzip.
func measureWeight(ctx context.Context, s *siteBench) ([]row, error) {
	out := filepath.Join(s.dir, "own")
	if _, err := measured(ctx, ".", s.sitegen, "build", "-out", out); err != nil {
		return nil, err
	}
	lessons, total, js, styles := 0, 0, 0, 0
	err := filepath.WalkDir(out, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "index.html" {
			return err
		}
		page, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(page, []byte(`class="kind-lesson"`)) {
			return err
		}
		w, err := weigh(out, page)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		lessons++
		total, js, styles = max(total, w.total), max(js, w.js), max(styles, w.styles)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if lessons == 0 {
		return nil, errors.New("our own course has no lessons")
	}
	kib := func(n int) string { return fmt.Sprintf("%.1f KB", float64(n)/1000) }
	return []row{
		{figure: fmt.Sprintf("the heaviest of %d lessons over the wire: HTML, CSS and JS, gzip", lessons), ours: kib(total), floor: "-", goal: "under 20 KB", met: total < 20_000},
		{figure: "most JavaScript of a lesson", ours: kib(js), floor: "-", goal: "under 6 KB", met: js < 6_000},
		{figure: "style sheets that block rendering, at most", ours: strconv.Itoa(styles), floor: "-", goal: "1", met: styles == 1},
	}, nil
}

// weight is the download size of a page in bytes with gzip, the part of it that is scripts, and the number of style sheets.
type weight struct{ total, js, styles int }

// weigh adds up a page and its assets, including scripts that are loaded dynamically for quizzes and glossary terms.
func weigh(out string, page []byte) (weight, error) {
	total, err := packed(page)
	if err != nil {
		return weight{}, err
	}
	styles := styleLink.FindAllSubmatch(page, -1)
	w := weight{total: total, styles: len(styles)}
	var files []string
	for _, links := range [][][][]byte{styles, scriptLink.FindAllSubmatch(page, -1), preload.FindAllSubmatch(page, -1)} {
		for _, link := range links {
			files = append(files, filepath.Join(out, filepath.FromSlash(string(link[1]))))
		}
	}
	for pattern, mark := range map[string]string{"quiz-*.js": `<fieldset class="quiz"`, "terms-*.js": `/glossary/#`} {
		if !bytes.Contains(page, []byte(mark)) {
			continue
		}
		later, err := filepath.Glob(filepath.Join(out, "assets", pattern))
		if err != nil {
			return weight{}, err
		}
		files = append(files, later...)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return weight{}, err
		}
		n, err := packed(data)
		if err != nil {
			return weight{}, err
		}
		w.total += n
		if strings.HasSuffix(name, ".js") {
			w.js += n
		}
	}
	return w, nil
}

// packed returns the size of data after gzip.
func packed(data []byte) (int, error) {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, err := w.Write(data)
	err = errors.Join(err, w.Close())
	return buf.Len(), err
}
