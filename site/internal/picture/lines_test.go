package picture

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLines(t *testing.T) {
	measure := func(s string) int { // a Chinese letter is as wide as two others
		n := 0
		for _, r := range s {
			n++
			if unspaced(r) {
				n++
			}
		}
		return n
	}
	for _, tt := range []struct {
		text  string
		width int
		want  []string
	}{
		{"one two three", 7, []string{"one two", "three"}},
		{"network/bridge", 9, []string{"network/", "bridge"}},
		{"abcdefghij", 4, []string{"abcd", "efgh", "ij"}},
		{"网络与容器", 6, []string{"网络与", "容器"}},
		{"网络，容器", 4, []string{"网", "络，", "容器"}},         // no comma at the start of a line
		{"用（容器）", 4, []string{"用", "（容", "器）"}},         // no bracket at the end of one
		{"用 Docker 吧", 8, []string{"用", "Docker", "吧"}}, // spaces don't hang over
		{"端口80：好", 7, []string{"端口", "80：好"}},
		{"", 5, []string{""}},
	} {
		if got := wrap(tt.text, tt.width, measure); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
	if got := balance("aaaa bbbb cccc dddd", 150, func(s string) int { return 10 * measure(s) }); !slices.Equal(got, []string{"aaaa bbbb", "cccc dddd"}) {
		t.Errorf("balanced %q", got)
	}
	if got := shorten([]string{"eins", "zwei drei", "vier"}, 2, 9, measure); !slices.Equal(got, []string{"eins", "zwei dre…"}) {
		t.Errorf("shortened %q", got)
	}
}

func FuzzLines(f *testing.F) {
	f.Add("用（容器） and words", 5)
	f.Add("用（容器） and wo}ds", -15)
	f.Fuzz(func(t *testing.T, text string, width int) {
		if !utf8.ValidString(text) || len(text) > 1000 {
			t.Skip()
		}
		lines := wrap(text, width, utf8.RuneCountInString)
		clean := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if clean(strings.Join(lines, "")) != clean(text) {
			t.Fatalf("%q became %q", text, lines)
		}
		for _, l := range lines {
			if n := utf8.RuneCountInString(l); n > max(1, width) {
				t.Fatalf("%q is %d wide", l, n)
			}
		}
	})
}
