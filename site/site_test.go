package site_test

import (
	"bytes"
	"image"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/site"
)

// course returns a small course: two modules, one lesson translated, one not.
func course() fstest.MapFS {
	return files(map[string]string{
		"en/_index.md":           "+++\ntitle = \"Course\"\nsummary = \"Learn `it`.\"\n+++\nWelcome.\n",
		"zh/_index.md":           "+++\ntitle = \"课程\"\n+++\n欢迎。\n",
		"en/one/_index.md":       "+++\ntitle = \"Module one\"\nweight = 10\n+++\n",
		"zh/one/_index.md":       "+++\ntitle = \"第一模块\"\n+++\n",
		"en/two/_index.md":       "+++\ntitle = \"Module two\"\nweight = 20\n+++\n",
		"en/one/start.md":        "+++\ntitle = \"Start\"\nweight = 10\nlab = \"demo\"\nminutes = 5\ntags = [\"Ports\", \"docker run\"]\ndate = 2026-02-01\nauthors = [\"Ada\"]\naliases = [\"/old/start\"]\n+++\n## First part\n\nSee [next](more.md#part-two) and [two](../two/last.md).\n\n![a box](box.svg)\n\n```bash\nls\n```\n\n## Second part\n",
		"zh/one/start.md":        "+++\ntitle = \"开始\"\ntags = [\"端口\"]\n+++\n## 第一部分\n\n见[下一课](more.md)。\n\n![盒子](box.svg)\n\n```bash\nls\n```\n\n## 第二部分\n",
		"en/one/more.md":         "+++\ntitle = \"More\"\nweight = 20\nprerequisites = [\"start\"]\n+++\n## Part two\n\n[home](/) [lab](/labs/demo/#hello) [volume](/glossary/#named-volume) [tags](/tags/)\n",
		"en/glossary.md":         "+++\ntitle = \"Glossary\"\n+++\nNamed volume\n: Storage.\n",
		"en/one/box.svg":         "<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
		"en/two/last.md":         "+++\ntitle = \"Last\"\n+++\nEnd.\n",
		"en/two/bundle/index.md": "+++\ntitle = \"Bundle\"\n+++\n![x](pic.png)\n",
		"en/two/bundle/pic.png":  onePixel(3, 2),
	})
}

// onePixel is a PNG of one colour.
func onePixel(w, h int) string {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		panic(err)
	}
	return b.String()
}

func files(m map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range m {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

// demo returns a lab in English. Some of its titles are in Chinese too.
func demo() *lab.Lab {
	md := func(file string, line int, s string) lab.Markdown {
		return lab.Markdown{File: file, Line: line, Source: []byte(s)}
	}
	return &lab.Lab{
		ID: "demo", Title: lab.Text{"en": "Demo lab", "zh": "演示"}, Summary: lab.Text{"en": "Try it."}, Level: "beginner", Minutes: 10,
		Intro:     map[string]lab.Markdown{"en": md("labs/demo/lab.md", 8, "Intro {{code}}.\n")},
		Stack:     lab.Stack{Nodes: []string{"node1"}},
		Variables: []lab.Variable{{Name: "code", Length: 6}},
		Langs:     []string{"en"},
		Steps: []*lab.Step{
			{
				Anchor: "hello", Title: lab.Text{"en": "Say hello"},
				Body:     map[string]lab.Markdown{"en": md("labs/demo/lab.md", 12, "Do:\n\n```bash {run}\ndocker run {{code}}\n```\n\n### Detail\n")},
				Hints:    map[string][]lab.Markdown{"en": {md("labs/demo/lab.md", 20, "A hint.\n"), md("labs/demo/lab.md", 24, "Another.\n")}},
				Solution: []lab.Script{{Source: "SECRET-SOLUTION"}},
			},
			{Anchor: "bye", Title: lab.Text{"en": "Say bye"}, Body: map[string]lab.Markdown{"en": md("labs/demo/lab.md", 30, "### Detail\n")}},
		},
	}
}

// assetsFS has small scripts and styles instead of the real ones, which need npm packages.
func assetsFS() fstest.MapFS {
	return files(map[string]string{
		"ts/theme.ts": "document.title;", "ts/site.ts": "console.log(1);", "ts/search.ts": "console.log(2);", "css/site.css": "@import './a.css';", "css/a.css": "a{color:red}",
		"ts/lab.ts": "import {Terminal} from '@xterm/xterm'; import {x} from './lab/x.js'; new Terminal(x);", "ts/lab/x.ts": "export const x = 1;",
		"css/lab.css": "@import '../vendor/xterm.css';", "vendor/xterm.mjs": "export class Terminal {}", "vendor/xterm.css": ".xterm{}",
	})
}

func source() site.Source { return site.Source{Content: course(), Labs: []*lab.Lab{demo()}} }

func options() site.Options { return site.Options{Assets: assetsFS(), Labs: true} }

// build builds into a new folder and returns all files of the result by name.
func build(t *testing.T, src site.Source, opts site.Options) map[string]string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "site")
	if _, err := site.Build(t.Context(), src, out, opts); err != nil {
		t.Fatal(err)
	}
	return read(t, out)
}

func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		got[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func wantIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is missing in\n%s", p, text)
		}
	}
}

func wantNotIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(text, p) {
			t.Errorf("%q should not be in\n%s", p, text)
		}
	}
}
