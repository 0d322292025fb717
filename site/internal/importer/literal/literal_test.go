package literal

import (
	"encoding/json"
	"strings"
	"testing"
)

// plain returns a value without this package's types, for comparisons.
func plain(v Value) any {
	switch v := v.(type) {
	case Array:
		out := []any{}
		for _, e := range v {
			out = append(out, plain(e))
		}
		return out
	case *Object:
		out := map[string]any{}
		for _, k := range v.Keys {
			out[k] = plain(v.Values[k])
		}
		return out
	case Call:
		return map[string]any{v.Name + "()": plain(Array(v.Args))}
	case Number:
		return string(v)
	case Unknown:
		return "?"
	}
	return v
}

func TestValuesAreReadWithoutRunningCode(t *testing.T) {
	for _, tt := range []struct{ name, src, want string }{
		{"JSON", `{"a": ["b", 1.5, true, null], "ü": "\u4e2d\n"}`, `{"a":["b","1.5",true,null],"ü":"中\n"}`},
		{"CommonJS", "// @ts-check\nconst x = require('./x');\n/** @type {import('y').Z} */\nmodule.exports = {\n  title: 'It\\'s', // a comment\n  x, y: x.y, z: [...x, 'a',],\n};", `{"title":"It's","x":{"require()":["./x"]},"y":"?","z":["a"]}`},
		{"TypeScript", "import type {Config} from 'a';\nconst docs: Plugin[] = [{path: '../docs'}];\nconst config: Config = {\n  title: `Plain`, computed: `a${b}`,\n  presets: [['classic', {docs} satisfies Options]],\n  async f() { return {a: '}'}; },\n  g: () => ({b: 1}), h: function() { return '{'; },\n  last: 2 as const\n} satisfies Config;\n\nexport default config;\n", `{"title":"Plain","computed":"?","presets":[["classic",{"docs":[{"path":"../docs"}]}]],"f":"?","g":"?","h":"?","last":"2"}`},
		{"Astro", "export default defineConfig({ integrations: [starlight({ title: 'T', sidebar: [{ label: 'A', items: ['x'] }] }), other()] })", `{"defineConfig()":[{"integrations":[{"starlight()":[{"title":"T","sidebar":[{"label":"A","items":["x"]}]}]},{"other()":[]}]}]}`},
		{"Itself", "const a = {b: a};\nexport default a", ``},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := Parse(tt.src)
			if err != nil {
				t.Fatal(err)
			}
			var want any
			if tt.want == "" {
				return
			}
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			got, _ := json.Marshal(plain(v))
			wanted, _ := json.Marshal(want)
			if string(got) != string(wanted) {
				t.Errorf("got  %s\nwant %s", got, wanted)
			}
		})
	}
}

func TestHostileFilesAreReadInBoundedTime(t *testing.T) {
	for _, src := range []string{
		"", "foo();", "export default", "export default {", "export default {a:", "export default {a: [", "module.exports = '", "module.exports = `${`",
		"export default " + strings.Repeat("[", 100_000), "export default " + strings.Repeat("{a:", 100_000), strings.Repeat("(", 100_000),
		"const a = [" + strings.Repeat("1,", 300_000) + "];const b=[a,a,a,a,a,a,a,a];const c=[b,b,b,b,b,b,b,b];const d=[c,c,c,c,c,c,c,c];export default [d,d,d,d,d,d]",
		"export default {\x00\xff: \xff}", "export default {get x() {}, set: 1}", "const x", "const x: {a: b}", "/*", "export default }",
	} {
		_, _ = Parse(src)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("export default {a: [1, 'b'], ...c, d() {}, e: f(g)}")
	f.Fuzz(func(_ *testing.T, src string) { _, _ = Parse(src) })
}
