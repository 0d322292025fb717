package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/labd-dev/labd/internal/command"
	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site"
	"github.com/labd-dev/labd/site/internal/importer"
	"github.com/labd-dev/labd/site/internal/importer/fetch"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/settings"
)

func runImport(ctx context.Context, e *command.Env, args []string) (err error) {
	fl := flag.NewFlagSet("sitegen import", flag.ContinueOnError)
	from := fl.String("from", "", "`format` of the source: obsidian, docusaurus, starlight, mdbook, gitbook or markdown (default: detected)")
	lang := fl.String("lang", "", "`language` of the source (default: from the settings of the source, else en)")
	out := fl.String("out", "content", "`folder` to put the course into; it must not exist or be empty")
	pictures := fl.Bool("fetch-pictures", false, "copy pictures from other sites into the course: at most 1,000, 10 MiB each, 256 MiB in all")
	private := fl.Bool("fetch-private", false, "with -fetch-pictures: also connect to addresses of private networks")
	list := fl.String("report", "", "`file` for the full list of changes (default: beside the output folder)")
	words, err := command.Parse(fl, e, "usage: sitegen import SRC [flags]", 1, args)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return command.Misuse("name the folder to import: sitegen import SRC")
	}
	dir := words[0]
	if within(*out, dir) || within(dir, *out) {
		return command.Misuse("the output folder %s and %s must not be inside each other", *out, dir)
	}
	if err := mustBeFree(*out); err != nil {
		return err
	}
	src, site, err := openSource(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	*list = cmp.Or(*list, filepath.Clean(*out)+"-import.txt")
	parent := filepath.Dir(filepath.Clean(*out))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	// Everything is written to a temporary folder and moved to its place at the end, so that nobody
	// sees half a course.
	temp, err := os.MkdirTemp(parent, ".import-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	if err := os.Chmod(temp, 0o755); err != nil { //nolint:gosec // a course is public
		return err
	}
	dst, err := os.OpenRoot(temp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	name, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	p := startProgress(e.Stderr)
	opts := importer.Options{From: importer.Format(*from), Lang: *lang, Name: filepath.Base(name), Site: site, Progress: p.step}
	if *pictures {
		f := fetch.New(*private)
		defer f.Close()
		opts.Fetch = f
	}
	rep, err := importer.Convert(ctx, src.FS(), writeTo(dst), opts)
	if err == nil {
		err = checkCourse(ctx, dst.FS(), *out, &rep, p.step)
	}
	p.stop()
	if err != nil {
		return err
	}
	// Remove deletes only an empty folder. If somebody has put files into it meanwhile, the import
	// fails here.
	if err := os.Remove(*out); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(temp, *out); err != nil {
		return err
	}
	fmt.Fprintf(e.Stdout, "%s: %d pages and %d files in %s\n", rep.Format, rep.Pages, rep.Assets, *out)
	if err := printReport(e, &rep.Log, *list); err != nil {
		return err
	}
	if n := rep.Log.Count(report.CourseMistake); n > 0 {
		return fmt.Errorf("the course in %s does not build yet: sitegen check found %d mistakes in it, which %s lists", *out, n, *list)
	}
	return nil
}

// checkCourse runs sitegen check on the new course and adds what it finds to the report. The
// importer is meant to write only courses that build. A mistake is a case that it does not handle,
// and the user should hear of it now and not at the first build.
func checkCourse(ctx context.Context, course fs.FS, name string, rep *importer.Report, progress func(string, int, int)) error {
	src := site.Source{Content: course, ContentName: filepath.ToSlash(filepath.Clean(name))}
	found, err := site.Check(ctx, src, site.Options{DefaultLang: rep.Lang, Progress: progress})
	mistakes, other := source.Mistakes(err)
	if other != nil {
		return fmt.Errorf("checking the course: %w", other)
	}
	for _, m := range mistakes {
		rep.Log.Add(report.CourseMistake, m)
	}
	for _, w := range found.Warnings {
		rep.Log.Add(report.CourseWarning, w)
	}
	return nil
}

// printReport prints the summary of the report and writes the full list to a file.
func printReport(e *command.Env, log *report.Log, name string) (err error) {
	if log.Len() == 0 {
		return nil
	}
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	if err := errors.Join(log.WriteAll(w), w.Flush()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if err := log.Summary(e.Stderr); err != nil {
		return err
	}
	fmt.Fprintf(e.Stderr, "%d changes, %d of them lost content; the full list is in %s\n", log.Len(), log.Lost(), name)
	return nil
}

// openSource opens the folder to import. Symbolic links cannot leave it. If it is a Docusaurus site
// whose pages are in a folder beside it (path: '../docs'), openSource opens the folder around both,
// and site is the path of the site in there. Settings cannot lead out of the Git repository that
// contains dir.
func openSource(dir string) (src *os.Root, site string, err error) {
	if src, err = os.OpenRoot(dir); err != nil {
		return nil, "", err
	}
	up := settings.DocsAbove(src.FS())
	abs, err := filepath.Abs(dir)
	if err != nil || up == 0 {
		return src, "", err
	}
	top := abs
	for range up {
		top = filepath.Dir(top)
	}
	if !inRepository(top) {
		return src, "", nil
	}
	if site, err = filepath.Rel(top, abs); err != nil {
		return src, "", nil //nolint:nilerr // the import then reports that the pages are outside the source
	}
	return reopen(src, top, filepath.ToSlash(site))
}

func reopen(src *os.Root, top, site string) (*os.Root, string, error) {
	if err := src.Close(); err != nil {
		return nil, "", err
	}
	src, err := os.OpenRoot(top)
	return src, site, err
}

// inRepository reports whether a folder is in a Git repository.
func inRepository(dir string) bool {
	for {
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
}

// mustBeFree returns an error if the output folder has files in it.
func mustBeFree(out string) error {
	entries, err := os.ReadDir(out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("the folder %s is not empty, and import does not overwrite files; choose another folder with -out", out)
	}
	return nil
}

// writeTo returns a function that creates files below root.
func writeTo(root *os.Root) importer.Write {
	return func(name string, content io.Reader) (err error) {
		if err := root.MkdirAll(filepath.Dir(filepath.FromSlash(name)), 0o755); err != nil {
			return err
		}
		f, err := root.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		_, err = io.Copy(f, content)
		return err
	}
}
