package search_test

import (
	"strings"
	"testing"

	"labd/internal/search"
)

func TestTerms(t *testing.T) {
	for text, want := range map[string]string{
		"Containers, publishing ports": "container publish port",
		"容器网络":                         "容器 器网 网络 络",
		"一个":                           "一个 个",
		"用 a":                          "用 a",
		"Docker容器8080":                 "docker 容器 器 8080",
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
