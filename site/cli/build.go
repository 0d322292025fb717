package cli

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	embedded "github.com/labd-dev/labd"
	"github.com/labd-dev/labd/internal/command"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site"
	"github.com/labd-dev/labd/site/internal/diskcache"
	"github.com/labd-dev/labd/site/internal/linkcheck"
	"github.com/labd-dev/labd/site/internal/markdown"
	"github.com/labd-dev/labd/site/internal/picture"
)

// input is the flags that build, check and serve share: the course and how to build it.
type input struct {
	content, labs string
	cache         string
	warnings      string           // file for the whole list of warnings; may be empty
	disk          *diskcache.Cache // in the folder cache
	opts          site.Options
}

func (in *input) flags(fl *flag.FlagSet) {
	fl.StringVar(&in.content, "content", "", "`folder` of the lessons (default: ./content if it exists, else the built-in course)")
	fl.StringVar(&in.labs, "labs", "", "`folder` of the labs (default: ./labs if it exists, else the built-in ones)")
	fl.StringVar(&in.opts.BaseURL, "base-url", "", "absolute `URL` of the published site")
	fl.StringVar(&in.opts.DefaultLang, "lang", "en", "default `language`, whose pages have no prefix")
	fl.BoolVar(&in.opts.Drafts, "drafts", false, "publish drafts too")
	fl.BoolVar(&in.opts.Force, "force", false, "build even if nothing has changed")
	fl.Func("cards", "social cards, if -base-url is set: `on` or off (default: on for at most 500 pages)", func(s string) error {
		in.opts.Cards = site.Cards(s)
		if in.opts.Cards != site.CardsOn && in.opts.Cards != site.CardsOff {
			return errors.New("must be on or off")
		}
		return nil
	})
	fl.StringVar(&in.cache, "cache", cacheFolder(), "`folder` for the cache of encoded images and diagrams; empty for none")
	fl.BoolVar(&in.opts.Strict, "strict", false, "treat warnings as errors")
}

// warningsFlag adds the flag -warnings, which serve doesn't have.
func (in *input) warningsFlag(fl *flag.FlagSet) {
	fl.StringVar(&in.warnings, "warnings", "", "`file` for the full list of warnings; the terminal shows a summary")
}

// cacheFolder returns sitegen's folder in the user's cache directory, "" if there is none.
func cacheFolder() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "sitegen")
}

// folders returns the folders on disk from which the course is read, "" for the built-in ones.
func (in *input) folders() (content, labs string) {
	content, labs = in.content, in.labs
	if content == "" && isDir("content") {
		content = "content"
	}
	if labs == "" && isDir("labs") {
		labs = "labs"
	}
	return content, labs
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// source opens the course.
func (in *input) source(ctx context.Context) (src site.Source, err error) {
	if in.opts.Renderer == nil {
		in.disk = diskcache.New(in.cache)
		in.opts.Pictures, in.opts.Renderer = picture.New(in.disk), markdown.NewWith(in.disk)
	}
	content, labs := in.folders()
	src.ContentName = filepath.ToSlash(content)
	if src.Content, err = open(content, embedded.Content); err != nil {
		return src, fmt.Errorf("-content: %w", err)
	}
	if content != "" {
		src.Updated = lastUpdated(ctx, content)
	}
	// The built-in labs belong to the built-in course only.
	if labs == "" && content != "" {
		return src, nil
	}
	labFS, err := open(labs, embedded.Labs)
	if err != nil {
		return src, fmt.Errorf("-labs: %w", err)
	}
	src.Labs, src.LabErr = lab.Load(labFS, cmp.Or(filepath.ToSlash(labs), "labs"))
	return src, nil
}

// open returns a folder as a file system that symbolic links can't leave, or the built-in one if
// dir is empty.
func open(dir string, builtIn func() fs.FS) (fs.FS, error) {
	if dir == "" {
		return builtIn(), nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return root.FS(), nil
}

// build builds the course once.
func (in *input) build(ctx context.Context, e *command.Env, out string) (site.Report, error) {
	content, labs := in.folders()
	for _, dir := range []string{content, labs} {
		if dir != "" && (within(out, dir) || within(dir, out)) {
			return site.Report{}, command.Misuse("the output folder %s and %s must not be inside each other", out, dir)
		}
	}
	src, err := in.source(ctx)
	if err != nil {
		return site.Report{}, err
	}
	defer in.disk.Prune()
	p := startProgress(e.Stderr)
	defer p.stop()
	in.opts.Progress = p.step
	return site.Build(ctx, src, out, in.opts)
}

// within reports whether path is dir or below it.
func within(path, dir string) bool {
	p, err1 := filepath.Abs(path)
	d, err2 := filepath.Abs(dir)
	if err1 != nil || err2 != nil {
		return false
	}
	rel, err := filepath.Rel(d, p)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func runBuild(ctx context.Context, e *command.Env, args []string) error {
	fl := flag.NewFlagSet("sitegen build", flag.ContinueOnError)
	var in input
	in.flags(fl)
	in.warningsFlag(fl)
	fl.BoolVar(&in.opts.Labs, "labd", false, "offer labs: the web server forwards "+apiRoot+" to a labd")
	fl.BoolVar(&in.opts.Compress, "compress", false, "write precompressed .gz and .br copies of text files")
	out := fl.String("out", "public", "output `folder`; it is replaced as a whole")
	if _, err := command.Parse(fl, e, "usage: sitegen build [flags]", 0, args); err != nil {
		return err
	}
	defer collectLate()()
	report, err := in.build(ctx, e, *out)
	if err := errors.Join(source.Counted(err), printWarnings(e, report.Warnings, in.warnings)); err != nil {
		return err
	}
	if report.Unchanged {
		fmt.Fprintf(e.Stdout, "nothing has changed, %d pages (%v): %s\n", report.Pages, report.Duration.Round(time.Millisecond), *out)
		return nil
	}
	fmt.Fprintf(e.Stdout, "%d pages, %d files, %d KiB in %v: %s\n",
		report.Pages, report.Files, report.Bytes>>10, report.Duration.Round(time.Millisecond), *out)
	return nil
}

func runCheck(ctx context.Context, e *command.Env, args []string) error {
	fl := flag.NewFlagSet("sitegen check", flag.ContinueOnError)
	var in input
	in.flags(fl)
	in.warningsFlag(fl)
	external := fl.Bool("external", false, "also check links to other sites")
	private := fl.Bool("external-private", false, "with -external: also connect to private networks")
	if _, err := command.Parse(fl, e, "usage: sitegen check [flags]", 0, args); err != nil {
		return err
	}
	src, err := in.source(ctx)
	if err != nil {
		return err
	}
	defer in.disk.Prune()
	p := startProgress(e.Stderr)
	in.opts.Progress = p.step
	report, err := site.Check(ctx, src, in.opts)
	p.stop()
	if err != nil || !*external {
		if err := errors.Join(source.Counted(err), printWarnings(e, report.Warnings, in.warnings)); err != nil {
			return err
		}
		fmt.Fprintf(e.Stdout, "no mistakes in %d pages\n", report.Pages)
		return nil
	}
	p = startProgress(e.Stderr)
	checker := linkcheck.Checker{AllowPrivate: *private, Progress: p.step}
	dead, doubtful, err := checker.Check(ctx, report.Outside)
	p.stop()
	if err != nil {
		return err
	}
	if report.Strict {
		dead, doubtful = append(dead, doubtful...), nil
	}
	if err := errors.Join(source.Counted(dead.Err()), printWarnings(e, append(report.Warnings, doubtful...), in.warnings)); err != nil {
		return err
	}
	fmt.Fprintf(e.Stdout, "no mistakes in %d pages and their links to other sites\n", report.Pages)
	return nil
}

// printWarnings prints warnings grouped by kind, and writes all of them to a file unless its name
// is empty.
func printWarnings(e *command.Env, warnings source.List, file string) error {
	list := warningFindings(warnings)
	leftOut := printFindings(e.Stderr, "warning: ", list)
	switch {
	case file != "":
		if err := writeFindings(file, list); err != nil {
			return fmt.Errorf("-warnings: %w", err)
		}
		fmt.Fprintf(e.Stderr, "%d warnings written to %s\n", len(list), file)
	case leftOut > 0:
		fmt.Fprintf(e.Stderr, "%d warnings in all; -warnings FILE writes every one to a file\n", len(list))
	}
	return nil
}
