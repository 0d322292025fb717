package highlight

import (
	"testing"

	"github.com/alecthomas/chroma/v2"
)

// blocks are code as lessons have it.
var samples = map[string]string{
	"bash":       "docker run -d --name web1234 -p 8080:80 nginx:1.27\ndocker logs -f web | grep \"error\" # The container name of a network\nfor i in 1 2 3; do\n  echo \"$i: ${HOME}\" >> out.txt\ndone\n",
	"yaml":       "services:\n  web1:\n    image: nginx:1.27\n    ports:\n      - \"8080:80\"\n    environment:\n      KEY: \"a value of some length\"\n",
	"python":     "import os\n\ndef f1(x, y=17):\n    \"\"\"What it does.\"\"\"\n    for i in range(x):\n        print(f\"{i}: {y}\", os.environ[\"K1\"])\n    return {\"a\": [1, 2.5, None]}\n",
	"dockerfile": "FROM debian:12\nWORKDIR /app\nCOPY . .\nRUN apt-get update && apt-get install -y curl\nCMD [\"python3\", \"app.py\"]\n",
	"go":         "package main\n\nfunc f1(a int) (int, error) {\n\tif a > 10 {\n\t\treturn 0, fmt.Errorf(\"too big: %d\", a) // a comment\n\t}\n\treturn a * 2, nil\n}\n",
	"javascript": "const a = await fetch(`/api/${id}`, { method: \"POST\" });\nif (!a.ok) throw new Error(\"no: \" + a.status); // why\nexport default function f(x) { return x?.y ?? /re+/g.test(x); }\n",
	"json":       "{\n  \"name\": \"web\",\n  \"ports\": [80, 443],\n  \"on\": true, \"off\": null\n}\n",
	"html":       "<!doctype html>\n<p class=\"a\" id=b>Text &amp; <b>more</b></p>\n<style>p { color: red; margin: 0 1em }</style>\n<script>let a = 1;</script>\n",
	"sql":        "SELECT name, count(*) FROM users u JOIN orders o ON o.user_id = u.id WHERE u.age > 18 GROUP BY name ORDER BY 2 DESC LIMIT 10; -- top\n",
	"nginx":      "server {\n    listen 80;\n    location /api/ {\n        proxy_pass http://app:8000;\n    }\n}\n",
	"ini":        "[section]\nkey = value\n; comment\nother = 1\n",
	"toml":       "title = \"x\"\n[a.b]\nn = 1.5\nd = 2026-01-31\nl = [1, \"two\"]\n",
}

func BenchmarkTokens(b *testing.B) {
	h := New()
	for lang, code := range samples {
		l := h.language(lexerName(lang))
		b.Run(lang+"/chroma", func(b *testing.B) {
			b.SetBytes(int64(len(code)))
			for b.Loop() {
				if _, err := chroma.Tokenise(l.slow, nil, code); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(lang+"/ours", func(b *testing.B) {
			b.SetBytes(int64(len(code)))
			b.ReportAllocs()
			r := &run{lexers: h.fast}
			for b.Loop() {
				if _, err := r.tokens(l.fast, code); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(lang+"/HTML", func(b *testing.B) {
			b.SetBytes(int64(len(code)))
			b.ReportAllocs()
			var out []byte
			for b.Loop() {
				out = h.Append(out[:0], Block{Lang: lang, Code: []byte(code)})
			}
		})
	}
}
