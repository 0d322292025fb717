package bundle_test

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/site/internal/bundle"
)

func sources(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func TestNamesAndIntegrityDependOnContent(t *testing.T) {
	src := map[string]string{
		"ts/a.ts": "import {word} from './b.js'; document.title = word as string; import('./later')", "ts/b.ts": "export const word = 'hello';",
		"ts/later.ts": "console.log('later')", "css/a.css": "@import './b.css'; a { background: url(../img/p.svg) }", "css/b.css": "b { color: red }",
		"img/p.svg": "<svg/>",
	}
	first, err := bundle.Build(sources(src), "ts/a.ts", "css/a.css")
	if err != nil {
		t.Fatal(err)
	}
	if len(first.CSS) != 1 || len(first.JS) != 1 || len(first.Parts) != 1 || len(first.All()) != 4 {
		t.Fatalf("made %+v", first)
	}
	for _, f := range first.All() {
		sum := sha256.Sum256(f.Data)
		if f.Integrity != "sha256-"+base64.StdEncoding.EncodeToString(sum[:]) {
			t.Errorf("%s has integrity %s", f.Path, f.Integrity)
		}
	}
	js, css := string(first.JS[0].Data), string(first.CSS[0].Data)
	if !strings.HasPrefix(first.JS[0].Path, "assets/a-") || !strings.Contains(js, `"hello"`) || strings.Contains(js, "\n\n") {
		t.Errorf("%s is %s", first.JS[0].Path, js)
	}
	if !strings.Contains(css, "b{color:red}") || !strings.Contains(css, `url("./p-`) {
		t.Errorf("the style sheet is %s", css)
	}
	src["ts/b.ts"] = "export const word = 'good-bye';"
	second, err := bundle.Build(sources(src), "ts/a.ts", "css/a.css")
	if err != nil {
		t.Fatal(err)
	}
	if first.JS[0].Path == second.JS[0].Path || first.CSS[0].Path != second.CSS[0].Path || first.Parts[0].Path != second.Parts[0].Path {
		t.Errorf("after a change of one word: %s, %s, %s", second.JS[0].Path, second.CSS[0].Path, second.Parts[0].Path)
	}
}

func TestNpmPackagesAndTextImports(t *testing.T) {
	got, err := bundle.Build(sources(map[string]string{
		"ts/a.ts":  "import {Terminal} from '@xterm/xterm'; import css from './s.css' with {type: 'text'}; new Terminal(css)",
		"ts/s.css": "a   {\n color:  red; }", "vendor/xterm.mjs": "export class Terminal { npm = 1 }",
	}), "ts/a.ts")
	if err != nil {
		t.Fatal(err)
	}
	if js := string(got.JS[0].Data); !strings.Contains(js, "npm=1") || !strings.Contains(js, "a{color:red}") || len(got.CSS) != 0 {
		t.Errorf("made %s", js)
	}
}

func TestScriptHasNoHashInItsName(t *testing.T) {
	fsys := sources(map[string]string{"ts/sw.ts": "declare const SITE: {base: string}; console.log(SITE.base)", "ts/bad.ts": "let let"})
	got, err := bundle.Script(fsys, "ts/sw.ts", map[string]string{"SITE": `{"base":"/c/"}`})
	if err != nil || !strings.Contains(string(got), `"/c/"`) || strings.Contains(string(got), "SITE") {
		t.Errorf("made %s, %v", got, err)
	}
	if _, err := bundle.Script(fsys, "ts/bad.ts", nil); err == nil {
		t.Error("a broken script was bundled")
	}
}

func TestErrorsNameFileAndLine(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"Syntax":   {"let x = ;", "site/assets/ts/a.ts:1:9: "},
		"Relative": {"\nimport './gone.js'", `site/assets/ts/a.ts:2:8: "./gone.js" is not among the site's assets`},
		"Package":  {"import '@xterm/xterm'", "`make assets`"},
		"Outside":  {"import '../../secret.ts'", "is not among the site's assets"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bundle.Build(sources(map[string]string{"ts/a.ts": tt.text}), "ts/a.ts")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want %q", err, tt.want)
			}
		})
	}
}
