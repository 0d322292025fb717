//go:build !race

package site_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/labd-dev/labd/site"
	"github.com/labd-dev/labd/site/corpus"
	"github.com/labd-dev/labd/site/internal/search"
)

// browser runs the code of the search in Node.js, on the files of a built site.
type browser struct {
	t    *testing.T
	code string
	site string
}

func newBrowser(t *testing.T, siteDir string) *browser {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	result := api.Build(api.BuildOptions{
		Stdin:  &api.StdinOptions{Contents: `export * from "./find.ts"; export * from "./query.ts"; export * from "./terms.ts";`, ResolveDir: "assets/ts/search", Loader: api.LoaderTS},
		Bundle: true, Format: api.FormatESModule, ResolveExtensions: []string{".ts"},
	})
	if len(result.Errors) > 0 {
		t.Fatalf("bundling the search: %v", result.Errors)
	}
	code := filepath.Join(t.TempDir(), "find.mjs")
	if err := os.WriteFile(code, result.OutputFiles[0].Contents, 0o644); err != nil {
		t.Fatal(err)
	}
	return &browser{t, code, siteDir}
}

// run runs a script that has everything of find.ts and terms.ts as s, input as input, and prints
// JSON.
func (b *browser) run(script string, input, output any) {
	b.t.Helper()
	in, err := json.Marshal(input)
	if err != nil {
		b.t.Fatal(err)
	}
	script = fmt.Sprintf(`import * as s from %q; import fs from "node:fs";
		globalThis.bytes = 0;
		globalThis.fetch = async (url) => {
			const data = await fs.promises.readFile(%q + url, "utf8").catch(() => null);
			globalThis.bytes += Buffer.byteLength(data ?? "");
			return { ok: data !== null, status: data === null ? 404 : 200, json: async () => JSON.parse(data) };
		};
		const input = JSON.parse(fs.readFileSync(0, "utf8"));
		%s`, b.code, b.site, script)
	cmd := exec.CommandContext(b.t.Context(), "node", "--input-type=module", "-e", script)
	cmd.Stdin = strings.NewReader(string(in))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := json.Unmarshal(out, output); err != nil {
		b.t.Fatalf("%v in %s", err, out)
	}
}

// find returns the URLs of the sections that a query finds.
func (b *browser) find(index string, queries ...string) map[string][]string {
	b.t.Helper()
	out := map[string][]string{}
	b.run(`const out = {};
		for (const q of input.queries) out[q] = (await new s.Search(input.index).find(q)).docs.map(([url, anchor]) => anchor ? url + "#" + anchor : url);
		console.log(JSON.stringify(out));`, map[string]any{"queries": queries, "index": index}, &out)
	return out
}

func TestSearch(t *testing.T) {
	m := course()
	add := func(name, text string) { m[name].Data = []byte(text) }
	add("en/one/start.md", "+++\ntitle = \"Start\"\nlab = \"demo\"\n+++\nIntroduction.\n\n## Networks\n\nEach has one.\n\n## Publishing ports\n\nA published port can be reached.\n\n```bash\ndocker run --network-alias web nginx\n```\n\n## Named volumes\n\nKeep data in a volume that outlives its containers.\n")
	add("en/one/more.md", "+++\ntitle = \"More\"\n+++\nNothing of that here.\n")
	add("zh/one/start.md", "+++\ntitle = \"开始\"\n+++\n介绍。\n\n## 隔离\n\n每个容器的网络是隔开的。拉取一个镜像。\n\n## 发布端口\n\n容器网络里的服务用 Docker 内置的 DNS 互相找到。\n\n## 命名卷\n\n数据放在卷里,比容器活得更久。\n")
	src := source()
	src.Content = m
	out := filepath.Join(t.TempDir(), "site")
	if _, err := site.Build(t.Context(), src, out, options()); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, out)
	en := b.find("/search/", "port", "PORTS", "publishes", "publihsed", "contianers", "network alias", "publ", "volume outlive", "xyzzy", "", "hello", "named volume storage",
		"cokner run", "socker run", "dcoker rnu", "how do I publish the port", "publishi", "网络 volume")
	for q, want := range map[string]string{
		"port": "/one/start/#publishing-ports", "PORTS": "/one/start/#publishing-ports", "publishes": "/one/start/#publishing-ports",
		"publihsed": "/one/start/#publishing-ports", "contianers": "/one/start/#named-volumes", "network alias": "/one/start/#publishing-ports",
		"cokner run": "/one/start/#publishing-ports", "socker run": "/one/start/#publishing-ports", "dcoker rnu": "/one/start/#publishing-ports",
		"how do I publish the port": "/one/start/#publishing-ports", "publishi": "/one/start/#publishing-ports", "网络 volume": "/one/start/#named-volumes",
		"publ": "/one/start/#publishing-ports", "volume outlive": "/one/start/#named-volumes", "hello": "/labs/demo/#hello",
	} {
		if len(en[q]) == 0 || en[q][0] != want {
			t.Errorf("%q finds %v first, want %s", q, en[q], want)
		}
	}
	for _, q := range []string{"xyzzy", ""} {
		if len(en[q]) != 0 {
			t.Errorf("%q finds %v", q, en[q])
		}
	}
	zh := b.find("/zh/search/", "端口", "容器网络", "卷", "docker 容器", "内置的DNS", "网络容器", "命名", "容器的网络", "拉取镜像", "dcoker DNS", "为什么端口")
	for q, want := range map[string]string{
		"容器的网络": "/zh/one/start/#隔离", "拉取镜像": "/zh/one/start/#隔离", "dcoker DNS": "/zh/one/start/#发布端口", "为什么端口": "/zh/one/start/#发布端口",
		"端口": "/zh/one/start/#发布端口", "容器网络": "/zh/one/start/#发布端口", "卷": "/zh/one/start/#命名卷",
		"docker 容器": "/zh/one/start/#发布端口", "内置的DNS": "/zh/one/start/#发布端口", "命名": "/zh/one/start/#命名卷",
	} {
		if len(zh[q]) == 0 || zh[q][0] != want {
			t.Errorf("%q finds %v first, want %s", q, zh[q], want)
		}
	}
}

// TestChineseIsFoundWithoutADictionary: words stand apart in the text, and older browsers can't cut
// the query.
func TestChineseIsFoundWithoutADictionary(t *testing.T) {
	m := course()
	m["en/one/start.md"].Data = []byte("+++\ntitle = \"Start\"\ntags = [\"x\"]\n+++\nA\n\n## B\n\n## C\n\n## D\n")
	m["zh/one/start.md"].Data = []byte("+++\ntitle = \"开始\"\n+++\n介绍。\n\n## 甲\n\n容器的网络是隔开的。\n\n## 乙\n\n容器是进程。\n\n## 丙\n\n数据放在卷里，这是数据卷。\n")
	src := source()
	src.Content = m
	out := filepath.Join(t.TempDir(), "site")
	if _, err := site.Build(t.Context(), src, out, options()); err != nil {
		t.Fatal(err)
	}
	var got map[string]map[string]string
	newBrowser(t, out).run(`const out = { with: {}, without: {} };
		for (const q of input) {
			for (const [name, cut] of [["with", s.cutter()], ["without", null]]) out[name][q] = (await new s.Search("/zh/search/", cut).find(q)).docs[0]?.[1] ?? "";
		}
		console.log(JSON.stringify(out));`, []string{"容器网络", "网络容器", "卷", "数据 网络", "进程容器"}, &got)
	for name, first := range got {
		for q, want := range map[string]string{"容器网络": "甲", "网络容器": "甲", "卷": "丙", "进程容器": "乙"} {
			if first[q] != want {
				t.Errorf("%s a dictionary %q finds %q first, want %q", name, q, first[q], want)
			}
		}
	}
}

// TestSearchLoadsLittle counts the bytes that the first answer of a large course fetches, before
// compression. A mistyped word costs more: the list of words, and a file of terms for each of its
// likely spellings.
func TestSearchLoadsLittle(t *testing.T) {
	const limit, mistypedLimit = 100_000, 130_000
	out := filepath.Join(t.TempDir(), "site")
	content := corpus.New(1000)
	for _, f := range content {
		f.Data = regexp.MustCompile("```[a-z]+").ReplaceAll(f.Data, []byte("```text")) // colouring it would only cost time
	}
	if _, err := site.Build(t.Context(), site.Source{Content: content}, out, options()); err != nil {
		t.Fatal(err)
	}
	var got map[string]int
	newBrowser(t, out).run(`const out = {};
		for (const q of input) { globalThis.bytes = 0; const n = (await new s.Search("/search/").find(q)).docs.length; out[q] = n > 0 ? globalThis.bytes : -1; }
		console.log(JSON.stringify(out));`, []string{"container", "volume network", "restart policy", "docker run", "c", "co", "cokner run", "restrat polic", "how do I mount a volume in a container"}, &got)
	for q, n := range got {
		most := limit
		if q == "cokner run" || q == "restrat polic" {
			most = mistypedLimit
		}
		if n < 0 || n > most {
			t.Errorf("%q loads %d bytes, want at most %d", q, n, most)
		}
		t.Logf("%q loads %d bytes", q, n)
	}
}

// TestBrowserAndBuildTokenizeAlike compares the Go and TypeScript tokenizers on real text and
// unusual words.
func TestBrowserAndBuildTokenizeAlike(t *testing.T) {
	texts := []string{
		"Containers contain container containing contained", "running runs run ran runner", "images imaging imaged image", "policies policy copies copied copying",
		"boxes caches pushes classes bus status this glass", "string thing bring nothing during", "control controlled controlling call called pass passes",
		"Ünïcode ÉTÉ straße ЖУК İstanbul", "容器网络 Docker 容器 一 DNS解析 ひらがなカタカナ", "redis:8 0.0.0.0:6379->6379/tcp x_y --network-alias", "a ab abc abcd s ss sss ed ing eed",
		strings.Repeat("x", 40), "emoji 😀 e\u0301", "",
	}
	err := filepath.WalkDir("../content", func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".md" {
			return err
		}
		data, err := os.ReadFile(name)
		texts = append(texts, string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	var words strings.Builder
	for range 20_000 {
		for range rnd.IntN(6) {
			words.WriteByte("aeiouybdlnprstwxz"[rnd.IntN(17)])
		}
		words.WriteString([]string{"", "s", "es", "ies", "ied", "ed", "eed", "ing", "ll", "e", "y", "ated", "izing"}[rnd.IntN(13)] + " ")
	}
	texts = append(texts, words.String())
	var got [][]string
	newBrowser(t, "").run(`console.log(JSON.stringify(input.map((x) => s.terms(x))));`, texts, &got)
	for i, text := range texts {
		want := search.Terms(text)
		if strings.Join(got[i], " ") != strings.Join(want, " ") {
			t.Errorf("%.60q: the browser cuts it into %q, the build into %q", text, got[i], want)
		}
	}
}
