package site

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var token = regexp.MustCompile(`(?m)^\s*--([a-z-]+): (#[0-9a-f]{6});`)

// TestColoursHaveEnoughContrast measures every pair of text and background colours in the style
// sheets, in both themes.
func TestColoursHaveEnoughContrast(t *testing.T) {
	const needed = 4.5 // WCAG AA
	css, err := embeddedAssets.ReadFile("assets/css/tokens.css")
	if err != nil {
		t.Fatal(err)
	}
	light, rest, ok := strings.Cut(string(css), `:root[data-theme="dark"] {`)
	dark, system, ok2 := strings.Cut(rest, "@media screen and (prefers-color-scheme: dark)")
	if !ok || !ok2 {
		t.Fatal("the themes were not found")
	}
	themes := map[string]map[string]string{"light": colours(light), "dark": colours(dark), "system": colours(system)}
	for name, value := range themes["dark"] {
		if themes["system"][name] != value {
			t.Errorf("--%s is %s in the dark theme, but %s where the system is dark", name, value, themes["system"][name])
		}
	}
	grounds := map[string][]string{
		"bg":        {"ink", "ink-strong", "muted", "accent", "accent-strong", "ok", "warn", "bad", "tip"},
		"bg-soft":   {"ink", "ink-strong", "muted", "accent"},
		"bg-raised": {"ink", "ink-strong", "muted", "accent"},
		"bg-sunken": {"ink", "ink-strong", "muted"},
		"accent":    {"on-accent"},
		"accent-soft": {"ink", "muted", "accent", "accent-strong", "code-ink", "code-keyword", "code-string", "code-number", "code-comment",
			"code-function", "code-tag", "code-variable"},
		"ok-soft":   {"ink", "ok", "code-string", "code-ink"},
		"warn-soft": {"ink", "warn"},
		"bad-soft":  {"ink", "bad"},
		"tip-soft":  {"ink", "tip"},
		"code-bg": {"code-ink", "code-keyword", "code-string", "code-number", "code-comment", "code-function", "code-tag",
			"code-variable", "muted", "bad"},
	}
	for theme, c := range themes {
		for ground, texts := range grounds {
			for _, text := range texts {
				if c[ground] == "" || c[text] == "" {
					t.Errorf("%s: --%s or --%s is missing", theme, ground, text)
					continue
				}
				if got := contrast(t, c[ground], c[text]); got < needed {
					t.Errorf("%s: --%s on --%s has a contrast of %.2f, %.1f is needed", theme, text, ground, got, needed)
				}
			}
		}
	}
}

func colours(css string) map[string]string {
	out := map[string]string{}
	for _, m := range token.FindAllStringSubmatch(css, -1) {
		out[m[1]] = m[2]
	}
	return out
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		v := float64(n) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}
