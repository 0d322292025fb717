package corpus

import (
	"fmt"
	"strings"
)

// code returns a block of code: its language and its text.
func (g *generator) code() (lang, text string) {
	n := func(max int) int { return g.rnd.IntN(max) }
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	switch n(5) {
	case 0:
		line("docker run -d --name %s -p %d:80 -e %s=%d nginx:1.%d", g.name(), n(60000), strings.ToUpper(g.name()), n(1e6), n(30))
		line("docker logs -f %s | grep \"%s\" # %s", g.name(), g.english.word(g.rnd), g.plainSentence())
		return "bash", b.String()
	case 1:
		line("services:")
		for range 1 + n(2) {
			line("  %s:\n    image: nginx:1.%d\n    ports:\n      - \"%d:80\"\n    environment:\n      KEY: \"%s\"", g.name(), n(30), n(60000), g.plainSentence())
		}
		return "yaml", b.String()
	case 2:
		line("import os\n\ndef %s(%s, limit=%d):", g.name(), g.english.word(g.rnd), n(1e6))
		line("    \"\"\"%s\"\"\"", g.plainSentence())
		line("    for i in range(limit):\n        print(f\"{i}: {limit}\", os.environ[\"%s\"])", strings.ToUpper(g.name()))
		line("    return {\"%s\": [1, 2.5, None]}", g.name())
		return "python", b.String()
	case 3:
		line("FROM debian:1%d\nWORKDIR /%s\nCOPY . .\nRUN apt-get update && apt-get install -y curl\nCMD [\"python3\", \"%s.py\"]", n(5), g.name(), g.name())
		return "dockerfile", b.String()
	}
	name := g.name()
	line("// %s %s\nfunc %s(limit int) (int, error) {\n\tif limit > %d {", name, g.plainSentence(), name, n(1e6))
	line("\t\treturn 0, fmt.Errorf(\"%s: %%d\", limit)\n\t}\n\treturn limit * %d, nil\n}", g.name(), n(100))
	return "go", b.String()
}
