// Package corpus makes large courses to measure with: lessons of 4 to 10 KB, a third of it code in five languages, in modules of
// 50, each with links, tags and headings. The same n gives the same bytes everywhere.
package corpus

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing/fstest"
)

// New returns the content tree of a course of n lessons.
func New(n int) fstest.MapFS {
	rnd := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("container image layer network volume engine process kernel port service compose registry tag digest health " +
		"check restart policy limit memory signal shell build cache context secret mount bridge host address name server client request answer the a of and to in is it that with for on as by this when then which from not has")
	sentence := func() string {
		var w []string
		for range 8 + rnd.IntN(12) {
			w = append(w, words[rnd.IntN(len(words))])
		}
		return strings.ToUpper(w[0][:1]) + strings.Join(w, " ")[1:] + ". "
	}
	code := []func() (string, string){
		func() (string, string) {
			return "bash", fmt.Sprintf("docker run -d --name web%d -p %d:80 nginx:1.%d\ndocker logs -f web | grep \"error\" # %s\n", rnd.IntN(1e6), rnd.IntN(60000), rnd.IntN(30), sentence())
		},
		func() (string, string) {
			return "yaml", fmt.Sprintf("services:\n  web%d:\n    image: nginx:1.%d\n    ports:\n      - \"%d:80\"\n    environment:\n      KEY: \"%s\"\n", rnd.IntN(1e6), rnd.IntN(30), rnd.IntN(60000), sentence())
		},
		func() (string, string) {
			return "python", fmt.Sprintf("import os\n\ndef f%d(x, y=%d):\n    \"\"\"%s\"\"\"\n    for i in range(x):\n        print(f\"{i}: {y}\", os.environ[\"K%d\"])\n    return {\"a\": [1, 2.5, None]}\n", rnd.IntN(1e6), rnd.IntN(1e6), sentence(), rnd.IntN(1e6))
		},
		func() (string, string) {
			return "dockerfile", fmt.Sprintf("FROM debian:1%d\nWORKDIR /app%d\nCOPY . .\nRUN apt-get update && apt-get install -y curl\nCMD [\"python3\", \"app.py\"]\n", rnd.IntN(5), rnd.IntN(1e6))
		},
		func() (string, string) {
			return "go", fmt.Sprintf("package main\n\nfunc f%d(a int) (int, error) {\n\tif a > %d {\n\t\treturn 0, fmt.Errorf(\"too big: %%d\", a) // %s\n\t}\n\treturn a * 2, nil\n}\n", rnd.IntN(1e6), rnd.IntN(1e6), sentence())
		},
	}
	out := fstest.MapFS{"en/_index.md": {Data: []byte("+++\ntitle = \"Corpus\"\n+++\n")}}
	for i := range n {
		module := fmt.Sprintf("module-%03d", i/50)
		if i%50 == 0 {
			out["en/"+module+"/_index.md"] = &fstest.MapFile{Data: fmt.Appendf(nil, "+++\ntitle = \"Module %d\"\nweight = %d\n+++\n", i/50, i/50+1)}
		}
		size := 4000 + rnd.IntN(6000)
		var b strings.Builder
		fmt.Fprintf(&b, "+++\ntitle = \"Lesson %d\"\nsummary = \"%s\"\nweight = %d\ntags = [\"%s\", \"%s\"]\n+++\n", i, strings.TrimSpace(sentence()), i+1, words[rnd.IntN(20)], words[rnd.IntN(20)])
		codeBytes := 0
		for section := 1; b.Len() < size; section++ {
			fmt.Fprintf(&b, "\n## Section %d: %s\n\n", section, strings.TrimSuffix(sentence(), ". "))
			for range 3 {
				b.WriteString(sentence() + sentence() + "**" + sentence() + "** `code` " + sentence() + "\n\n")
			}
			b.WriteString("- " + sentence() + "\n- " + sentence() + "\n\n")
			for codeBytes < b.Len()/3 {
				lang, text := code[rnd.IntN(len(code))]()
				codeBytes += len(text)
				fmt.Fprintf(&b, "```%s\n%s```\n\n", lang, text)
			}
			if i > 0 {
				fmt.Fprintf(&b, "See [an earlier lesson](../module-%03d/lesson-%05d.md).\n", (i-1)/50, i-1)
			}
		}
		out[fmt.Sprintf("en/%s/lesson-%05d.md", module, i)] = &fstest.MapFile{Data: []byte(b.String())}
	}
	return out
}
