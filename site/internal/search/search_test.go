package search_test

import (
	"strings"
	"testing"

	"github.com/labd-dev/labd/site/internal/search"
)

func TestTerms(t *testing.T) {
	for text, want := range map[string]string{
		"Containers, publishing ports": "container publish port",
		"容器网络":                         "容器 器网 网络 络",
		"一个":                           "一个 个",
		"用 a":                          "用 a",
		"Docker容器8080":                 "docker 容器 器 8080",
		"--network-alias x_y":          "network alias x y",
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
		"pass passes passed passing", "service services", "volume volumes", "network networks networking networked", "name names named naming", "type types typed typing",
		"use uses used using", "file files filed filing", "fill fills filled filling", "code codes coded coding", "size sizes sized sizing", "save saves saved saving",
		"make makes making", "pipe pipes piped piping", "node nodes", "write writes writing", "remove removes removed removing", "update updates updated updating",
		"enable enables enabled enabling", "handle handles handled handling", "expose exposes exposed exposing", "configure configures configured configuring",
		"require requires required requiring", "add adds added adding", "log logs logged logging", "tag tags tagged tagging", "stop stops stopped stopping", "map maps mapped mapping",
		"install installs installed installing", "cancel cancels cancelled cancelling", "label labels labelled labelling", "embed embeds embedded embedding",
		"exceed exceeds exceeded exceeding", "agree agrees agreed agreeing", "need needs needed needing", "set sets setting settings", "cookie cookies", "try tries tried trying",
		"key keys", "deploy deploys deployed deploying", "process processes processed processing", "address addresses addressed", "status statuses", "alias aliases", "index indexes indexed",
		"class classes", "match matches matched matching", "tie ties tied", "see sees seeing", "fix fixes fixed fixing", "show shows showed showing", "query queries queried querying",
		"directory directories", "build builds building", "schema schemas", "string strings", "thing things", "ring rings ringing",
	} {
		stems := map[string]bool{}
		for _, s := range search.Terms(words) {
			stems[s] = true
		}
		if len(stems) != 1 {
			t.Errorf("%q has the stems %v", words, stems)
		}
	}
	for _, pair := range []string{"string strip", "bus but", "port post", "this thing", "need net", "container contains", "server serve", "user use", "file fill", "news new", "number numb", "image imagine"} {
		if s := search.Terms(pair); s[0] == s[1] {
			t.Errorf("%q have the same stem %q", pair, s[0])
		}
	}
}
