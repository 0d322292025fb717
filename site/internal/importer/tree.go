package importer

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // so that the sizes of these are known
	_ "image/jpeg"
	_ "image/png"
	"io"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/labd-dev/labd/site/internal/importer/dialect"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// asset is a file that pages link to: where it goes, or why it can't.
type asset struct{ out, refused string }

// kinds are the files that may be published, by what their first bytes must look like; "" for anything.
var kinds = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".svg": "",
	".pdf": "application/pdf", ".mp4": "", ".webm": "", ".mp3": "", ".ogg": "", ".wav": "", ".zip": "", ".gz": "", ".txt": "", ".csv": "",
}

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
func (r *run) lines(name string) ([]dialect.Line, string) {
	text, refused := r.read(name)
	if refused != "" {
		return nil, refused
	}
	var out []dialect.Line
	for i, s := range strings.Split(text, "\n") {
		l := dialect.Line{Text: s, File: name, N: i + 1, Src: s}
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
	for n := 2; slices.Contains(reserved, got) || slices.ContainsFunc(r.langs, func(l string) bool { return strings.EqualFold(l, got) }) || languageOf(r.translations, got) || r.used[dir+"/"+got]; n++ {
		got = fmt.Sprintf("%s-%d", want, n)
	}
	r.used[dir+"/"+got] = true
	if got != want {
		r.reportFile(report.AddressChanged, file, "the address %q is taken already, so it becomes %q", want, got)
	}
	return got
}

func languageOf(list []translation, name string) bool {
	return slices.ContainsFunc(list, func(t translation) bool { return strings.EqualFold(t.tag, name) })
}

// asset says where the file name goes that p links to.
func (r *run) asset(name string, p *page) asset {
	// What the default language has is there for all. What only a translation has stands in its own folder.
	key := name
	if a, ok := r.assets[key]; ok {
		return a
	}
	if p.lang != r.lang {
		key = p.lang + "\x00" + name
		if a, ok := r.assets[key]; ok {
			return a
		}
	}
	a := asset{refused: r.refuseAsset(name)}
	if a.refused == "" {
		ext := strings.ToLower(path.Ext(name))
		dir := path.Dir(p.out)
		stem := slug(strings.TrimSuffix(path.Base(name), path.Ext(name)))
		out := path.Join(dir, stem+ext)
		for n := 2; r.outs[out]; n++ {
			out = path.Join(dir, fmt.Sprintf("%s-%d%s", stem, n, ext))
		}
		r.outs[out] = true
		r.total += r.files[name]
		a.out = out
	}
	r.assets[key] = a
	return a
}

// refuseAsset returns why a file must not be published, or "".
func (r *run) refuseAsset(name string) string {
	kind, ok := kinds[strings.ToLower(path.Ext(name))]
	if !ok {
		return "files of this kind are not published, as they could run in a reader's browser"
	}
	if r.files[name] > maxAsset {
		return fmt.Sprintf("it is larger than %d MiB", maxAsset>>20)
	}
	if r.total+r.files[name] > maxTotal {
		return fmt.Sprintf("the course would be larger than %d MiB", maxTotal>>20)
	}
	f, err := r.src.Open(name)
	if err != nil {
		return fmt.Sprintf("it can't be read: %v", err)
	}
	defer func() { _ = f.Close() }() // only read from
	if strings.EqualFold(path.Ext(name), ".svg") {
		return refuseSVG(io.LimitReader(f, maxText))
	}
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return fmt.Sprintf("it can't be read: %v", err)
	}
	if got := http.DetectContentType(head[:n]); kind != "" && got != kind {
		return fmt.Sprintf("its content is not that of a %s file", path.Ext(name))
	}
	if kind == "image/png" || kind == "image/jpeg" || kind == "image/gif" {
		conf, _, err := image.DecodeConfig(io.MultiReader(bytes.NewReader(head[:n]), f))
		if err != nil {
			return "it is a broken picture"
		}
		if int64(conf.Width)*int64(conf.Height) > maxPixels {
			return fmt.Sprintf("the picture has %d × %d pixels", conf.Width, conf.Height)
		}
	}
	return ""
}

// refuseSVG returns why a drawing must not be published: one that is opened on its own may run scripts in the site's name.
func refuseSVG(src io.Reader) string {
	dec := xml.NewDecoder(src)
	root := false
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			if !root {
				return "it is not an SVG drawing"
			}
			return ""
		}
		if err != nil {
			return "it is a broken SVG drawing"
		}
		switch tok := tok.(type) {
		case xml.Directive:
			if bytes.Contains(bytes.ToUpper(tok), []byte("ENTITY")) {
				return "the drawing defines entities"
			}
		case xml.ProcInst:
			if !strings.EqualFold(tok.Target, "xml") {
				return "the drawing has processing instructions"
			}
		case xml.StartElement:
			name := strings.ToLower(tok.Name.Local)
			if !root && name != "svg" {
				return "it is not an SVG drawing"
			}
			root = true
			if slices.Contains([]string{"script", "foreignobject", "iframe", "embed", "object", "audio", "video", "a", "set", "animate", "handler"}, name) {
				return fmt.Sprintf("the drawing has a <%s>", name)
			}
			for _, a := range tok.Attr {
				attr, value := strings.ToLower(a.Name.Local), strings.TrimSpace(a.Value)
				if strings.HasPrefix(attr, "on") {
					return fmt.Sprintf("the drawing has the attribute %s", attr)
				}
				if attr == "href" && !strings.HasPrefix(value, "#") && !strings.HasPrefix(value, "data:image/png") && !strings.HasPrefix(value, "data:image/jpeg") {
					return "the drawing loads or links to something else"
				}
			}
		}
	}
}

// copyAsset hands out one file, cut at the size that was seen, so that one that grows meanwhile stays within the limits.
func (r *run) copyAsset(name, out string, write Write) error {
	f, err := r.src.Open(name)
	if err != nil {
		return fmt.Errorf("copying %s: %w", name, err)
	}
	defer func() { _ = f.Close() }() // only read from
	return write(out, io.LimitReader(f, r.files[name]))
}

// reportLeftOut tells of files that are in no page, folder by folder when they lie outside of the pages' root.
func (r *run) reportLeftOut() {
	outside := map[string]int{}
	for name := range r.files {
		a, isAsset := r.assets[name]
		switch {
		case r.bySrc[name] != nil || isAsset && a.out != "" || isAsset && a.refused != "":
		case r.settings(name), r.included[name], r.settingsRead[name]:
		case r.assetOfTranslation(name):
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

func (r *run) assetOfTranslation(name string) bool {
	return slices.ContainsFunc(r.translations, func(t translation) bool { return r.assets[t.tag+"\x00"+name].out != "" })
}

func (r *run) isPage(name string) bool { _, ok := pageStem(path.Base(name)); return ok }

// settings reports whether a file was read for what it says about the others.
func (r *run) settings(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, "_category_.") || name == "book.toml" && r.format == MDBook || name == r.summaryFile && name != ""
}
