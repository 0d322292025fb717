//go:build !race

package picture_test

import (
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/picture"
)

const svgHead = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 200 100">` + "\n"

func TestDrawings(t *testing.T) {
	for name, body := range map[string]string{
		"Shapes":   `<defs><linearGradient id="g"><stop offset="0"/></linearGradient></defs><rect fill="url(#g)" style="stroke:red" width="4"/><use href="#g"/>`,
		"Embedded": `<image xlink:href="data:image/png;base64,iVBORw0KGgo="/>`,
		"Style":    `<style>.a{fill:url("#g")} /* text */ @font-face{src:url(data:font/woff2;base64,AAAA)}</style>`,
		"Link":     `<a href="https://example.org/"><text>more</text></a>`,
		"Programs": `<metadata xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:RDF><x xmlns="http://purl.org/dc/"/></rdf:RDF></metadata>`,
		"Labels":   `<foreignObject><div xmlns="http://www.w3.org/1999/xhtml" style="color:red">text<br/></div></foreignObject>`,
		"Comment":  `<!-- <script> in a comment is text --><title>a &lt;script&gt;</title>`,
	} {
		t.Run(name, func(t *testing.T) {
			data := "\ufeff<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\" \"http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd\">\n" + svgHead + body + "</svg>"
			img := made(t, picture.New(nil), "a.svg", []byte(data))
			if img.Width != 200 || img.Height != 100 || string(img.Files[0].Data) != data {
				t.Errorf("%d x %d", img.Width, img.Height)
			}
		})
	}
	for _, tt := range []struct{ name, body, want string }{
		{"Script", `<script>alert(1)</script>`, "must not have <script>"},
		{"ScriptByPrefix", `<x:script xmlns:x="http://www.w3.org/2000/svg">1</x:script>`, "must not have <script>"},
		{"HTMLScript", `<script xmlns="http://www.w3.org/1999/xhtml">1</script>`, "HTML element <script>"},
		{"Frame", `<foreignObject><iframe xmlns="http://www.w3.org/1999/xhtml"/></foreignObject>`, "HTML element <iframe>"},
		{"NoNamespace", `<script xmlns="">1</script>`, "<script> is not part of SVG"},
		{"Handler", `<rect onload="alert(1)"/>`, "onload on <rect> could run code"},
		{"HandlerUpper", `<rect ONclick="alert(1)"/>`, "could run code"},
		{"JavaScriptLink", `<a xlink:href="java&#10;script:alert(1)"><text>x</text></a>`, "<a> refers to"},
		{"ExternalImage", `<image href="https://evil.example/a.png"/>`, "must have everything in it"},
		{"ProtocolRelative", `<use href="//evil.example/a.svg#x"/>`, "must have everything in it"},
		{"NestedSVG", `<image href="data:image/svg+xml,%3Csvg/%3E"/>`, "must have everything in it"},
		{"ExternalFill", `<rect fill="url( 'https://evil.example/x#y' )"/>`, "use url(#…)"},
		{"ExternalStyle", `<rect style="fill:URL(//evil.example/x)"/>`, "use url(#…)"},
		{"HiddenStyle", `<rect style="fill:\75rl(//evil.example/x)"/>`, `has a \ in it`},
		{"Import", `<style>@import "//evil.example/a.css";</style>`, "refers to other files"},
		{"ImageSet", `<style>a{background:image-set("https://evil.example/a.png" 1x)}</style>`, "use url(#…)"},
		{"Animation", `<a><set attributeName="xlink:href" to="javascript:alert(1)"/></a>`, "must not change"},
		{"Base", `<g xml:base="https://evil.example/"/>`, "xml:base"},
		{"Deep", strings.Repeat("<g>", 300) + strings.Repeat("</g>", 300), "within each other"},
		{"Open", `<g>`, "not a whole SVG image"},
		{"Entity", `<text>&evil;</text>`, "not a whole SVG image"},
		{"StyleSheet", `<?xml-stylesheet href="https://evil.example/a.css"?>`, "xml-stylesheet"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var errs source.List
			img, err := picture.New(nil).Make(t.Context(), "a.svg", []byte(svgHead+tt.body+"</svg>"), &errs)
			if err != nil || img != nil || len(errs) == 0 || !strings.Contains(errs[0].Error(), tt.want) || errs[0].Line != 2 {
				t.Errorf("%v, %v, want %q on line 2", err, errs.Err(), tt.want)
			}
			if picture.Original("a.svg", []byte(svgHead+tt.body+"</svg>"), &errs) != nil {
				t.Error("it may be linked")
			}
		})
	}
	for _, tt := range []struct{ name, data, want string }{
		{"Bomb", `<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><svg xmlns="http://www.w3.org/2000/svg">&b;</svg>`, "must not define entities"},
		{"Latin1", `<?xml version="1.0" encoding="ISO-8859-1"?><svg xmlns="http://www.w3.org/2000/svg"/>`, "not a whole SVG image"},
		{"NoNamespace", `<svg width="10" height="10"/>`, `begins with <svg xmlns="http://www.w3.org/2000/svg">`},
		{"HTML", `<html xmlns="http://www.w3.org/1999/xhtml"><svg/></html>`, "begins with <svg"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var errs source.List
			if _, err := picture.New(nil).Make(t.Context(), "a.svg", []byte(tt.data), &errs); err != nil || len(errs) == 0 || !strings.Contains(errs[0].Error(), tt.want) {
				t.Errorf("%v, %v, want %q", err, errs.Err(), tt.want)
			}
		})
	}
}

func TestSizesOfDrawings(t *testing.T) {
	for attrs, want := range map[string][2]int{
		`viewBox="0 0 30 20"`:              {30, 20},
		`width="10" viewBox="0,0,30,60"`:   {10, 20},
		`width="1in" height="72pt"`:        {96, 96},
		`width="100%" viewBox="0 0 30 20"`: {30, 20},
		`width="1e99" height="NaN"`:        {0, 0},
		``:                                 {0, 0},
	} {
		img := made(t, picture.New(nil), "a.svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg" `+attrs+`/>`))
		if img.Width != want[0] || img.Height != want[1] {
			t.Errorf("%s: %d x %d", attrs, img.Width, img.Height)
		}
	}
}

// FuzzSVG looks for a drawing that passes with something in it that a browser would run.
func FuzzSVG(f *testing.F) {
	for _, body := range []string{`<rect onload="a"/>`, `<a href="https://x/"/>`, `<style>a{}</style>`, `<g xmlns:x="y"><x:b/></g>`} {
		f.Add(svgHead + body + "</svg>")
	}
	f.Fuzz(func(t *testing.T, data string) {
		var errs source.List
		img, err := picture.New(nil).Make(t.Context(), "a.svg", []byte(data), &errs)
		if err != nil {
			t.Fatal(err)
		}
		if (img == nil) == (len(errs) == 0) {
			t.Fatalf("image %v and mistakes %v", img, errs.Err())
		}
		lower := strings.ToLower(data)
		if img != nil && !strings.Contains(data, "<!--") && !strings.Contains(data, "CDATA") {
			for _, bad := range []string{"<script", "<iframe", "<!entity", "@import"} {
				if strings.Contains(lower, bad) && !strings.Contains(lower, "'") && !strings.Contains(lower, `"`+bad) {
					t.Fatalf("%q passes", bad)
				}
			}
		}
	})
}
