package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// list finds all plain files.
func (r *run) list() error {
	err := fs.WalkDir(r.src, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && name != "." {
				return nil
			}
			return err
		}
		if err := r.ctx.Err(); err != nil {
			return err
		}
		base := path.Base(name)
		if name != "." && strings.HasPrefix(base, ".") || base == "node_modules" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		if !d.Type().IsRegular() {
			r.reportFile(report.FileUnused, name, "is left out: it is a link or a device, and only plain files are read")
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil // vanished
		}
		if len(r.files) >= maxFiles {
			return fmt.Errorf("the source has more than %d files", maxFiles)
		}
		r.files[name] = info.Size()
		if low := strings.ToLower(name); r.folded[low] == "" {
			r.folded[low] = name
		}
		if stem, ok := pageStem(base); ok {
			low := strings.ToLower(stem)
			r.names[low] = append(r.names[low], name)
		} else {
			low := strings.ToLower(base)
			r.names[low] = append(r.names[low], name)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the source: %w", err)
	}
	return nil
}

// pageStem returns a page's name without its ending.
func pageStem(base string) (string, bool) {
	for _, ext := range []string{".md", ".mdx", ".markdown"} {
		if len(base) > len(ext) && strings.EqualFold(base[len(base)-len(ext):], ext) {
			return base[:len(base)-len(ext)], true
		}
	}
	return base, false
}

// read returns the text of a listed file, valid UTF-8 with LF line ends. The string says why it can't be used.
func (r *run) read(name string) (text, refused string) {
	size, ok := r.files[name]
	if !ok {
		return "", "it does not exist, or is a link"
	}
	if size > maxText {
		return "", fmt.Sprintf("it is larger than %d MiB", maxText>>20)
	}
	f, err := r.src.Open(name)
	if err != nil {
		return "", fmt.Sprintf("it can't be read: %v", err)
	}
	defer func() { _ = f.Close() }() // only read from
	data, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err != nil {
		return "", fmt.Sprintf("it can't be read: %v", err)
	}
	if len(data) > maxText {
		return "", fmt.Sprintf("it is larger than %d MiB", maxText>>20)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(data, 0) >= 0 {
		return "", "it has NUL bytes, so it is not a text"
	}
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	return string(data), ""
}

// lines reads a file as lines. What is not UTF-8 is replaced, with a report.
func (r *run) lines(name string) ([]syntax.Line, string) {
	text, refused := r.read(name)
	if refused != "" {
		return nil, refused
	}
	var out []syntax.Line
	for i, s := range strings.Split(text, "\n") {
		l := syntax.Line{Text: s, File: name, N: i + 1, Src: s}
		if !utf8.ValidString(s) {
			r.report(report.UndecodableText, l, "the line is not UTF-8; what can't be read became \uFFFD")
			l.Text = strings.ToValidUTF8(s, "\uFFFD")
		}
		out = append(out, l)
	}
	if n := len(out); n > 0 && out[n-1].Text == "" {
		out = out[:n-1]
	}
	return out, ""
}

// slug makes an address of a name.
func slug(name string) string {
	s := markdown.Slug(strings.ToValidUTF8(name, ""))
	if runes := []rune(s); len(runes) > maxSlug {
		s = strings.Trim(string(runes[:maxSlug]), "-")
	}
	if s == "" {
		return "page"
	}
	return s
}

// reserved are addresses that a site keeps for pages of its own.
var reservedModules = []string{"labs", "tags", "glossary", "assets", "search", "en", "zh", "404", "offline"}
var reservedLessons = []string{"index", "print"}

// address takes an address below dir that nothing else has, with a report to file if that isn't the wanted one.
func (r *run) address(dir, want, file string, reserved []string) string {
	got := want
	for n := 2; slices.Contains(reserved, got) || slices.ContainsFunc(r.langs, func(l string) bool { return strings.EqualFold(l, got) }) || r.used[dir+"/"+got]; n++ {
		got = fmt.Sprintf("%s-%d", want, n)
	}
	r.used[dir+"/"+got] = true
	if got != want {
		r.reportFile(report.AddressChanged, file, "the address %q is taken already, so it becomes %q", want, got)
	}
	return got
}

// reportLeftOut tells of files that are in no page, folder by folder when they lie outside of the pages' root.
func (r *run) reportLeftOut() {
	outside, used := map[string]int{}, map[string]bool{}
	for _, a := range r.assets {
		used[a.file] = true // published, or reported where it was linked to
	}
	for name := range r.files {
		switch {
		case r.bySrc[name] != nil:
		case r.settings(name), r.included[name], r.settingsRead[name]:
		case used[name]:
		case r.translated(name) != nil && r.isPage(name):
		case r.root != "." && !strings.HasPrefix(name, r.root+"/"):
			top, _, below := strings.Cut(name, "/")
			if below {
				top += "/"
			}
			outside[top]++
		case r.isPage(name):
			if stem, _ := pageStem(path.Base(name)); strings.HasPrefix(stem, "_") && r.format != MDBook && r.format != GitBook {
				r.reportFile(report.FileUnused, name, "is left out: a page whose name begins with _ is a part for others")
			} else if r.format == MDBook || r.format == GitBook {
				r.reportFile(report.ChapterMissing, name, "is left out: SUMMARY.md does not lead to it")
			}
		case path.Ext(name) == ".canvas" || path.Ext(name) == ".base":
			r.reportFile(report.FileUnused, name, "is left out: a canvas or base has no counterpart in a course")
		default:
			r.reportFile(report.FileUnused, name, "is left out: no page links to it")
		}
	}
	for top, n := range outside {
		if strings.HasSuffix(top, "/") {
			r.reportFile(report.FileUnused, top, "is left out, with %d files that no page uses: it lies outside of %s", n, r.root)
		} else {
			r.reportFile(report.FileUnused, top, "is left out: it lies outside of %s", r.root)
		}
	}
}

func (r *run) isPage(name string) bool { _, ok := pageStem(path.Base(name)); return ok }

// settings reports whether a file was read for what it says about the others.
func (r *run) settings(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, "_category_.") || name == "book.toml" && r.format == MDBook || name == r.summaryFile && name != ""
}
