package search_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"labd/internal/search"
)

func TestTerms(t *testing.T) {
	for text, want := range map[string]string{
		"Containers, publishing ports": "container publish port",
		"容器网络":                         "容器 器网 网络",
		"一个":                           "一个",
		"用 a":                          "用 a",
		"Docker容器8080":                 "docker 容器 8080",
		"--network-alias x_y":          "network alia x y",
		strings.Repeat("x", 40):        "",
		"\xff\x00":                     "",
	} {
		if got := strings.Join(search.Terms(text), " "); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}

func TestStemsOfOneWordAreEqual(t *testing.T) {
	for _, words := range []string{
		"container containers", "publish publishes published publishing", "run runs running", "image images imaged imaging", "policy policies", "copy copies copied copying",
		"box boxes", "cache caches cached caching", "push pushes pushed", "create creates created creating", "call calls called calling", "control controls controlled controlling",
		"pass passes passed passing", "service services", "volume volumes", "network networks networking networked",
	} {
		stems := map[string]bool{}
		for _, s := range search.Terms(words) {
			stems[s] = true
		}
		if len(stems) != 1 {
			t.Errorf("%q has the stems %v", words, stems)
		}
	}
	for _, pair := range []string{"string strip", "bus but", "port post", "this thing", "need net"} {
		if s := search.Terms(pair); s[0] == s[1] {
			t.Errorf("%q have the same stem %q", pair, s[0])
		}
	}
}

// TestFilesStaySmall makes an index of many different words.
func TestFilesStaySmall(t *testing.T) {
	const limit = 40 << 10
	var docs []*search.Doc
	for i := range 3000 {
		docs = append(docs, search.NewDoc(search.Section{URL: fmt.Sprintf("/p%d/", i), Page: fmt.Sprintf("Page %d", i), Text: fmt.Sprintf("word%d conta%din %c网", i, i*7, rune(0x4e00+i))}))
	}
	files, err := search.Index(docs)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range files {
		if len(f.Data) > limit {
			t.Errorf("%s has %d bytes", f.Name, len(f.Data))
		}
		if seen[f.Name] {
			t.Errorf("%s is there twice", f.Name)
		}
		seen[f.Name] = true
		if !json.Valid(f.Data) {
			t.Errorf("%s is not JSON", f.Name)
		}
	}
}

func TestAnEmptyIndex(t *testing.T) {
	files, err := search.Index(nil)
	if err != nil || len(files) != 1 || string(files[0].Data) != `{"docs":0,"han":0,"perFile":8,"prefixes":[]}` {
		t.Errorf("%v %s", err, files)
	}
}
