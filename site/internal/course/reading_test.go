package course_test

import (
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/course"
)

func TestReadingMinutes(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		says, want int
	}{
		{"nothing", "", 0, 1},
		{"a word a line", strings.Repeat("word\n", 1000), 0, 5},
		{"numbers and accents are words", strings.Repeat("é1a 22, ", 300), 0, 3},
		{"characters of Chinese", strings.Repeat("容器，", 600), 0, 3},
		{"both", strings.Repeat("运行 nginx。", 400), 0, 4},
		{"the author knows better", strings.Repeat("word ", 1000), 12, 12},
	} {
		text := &course.Text{Front: course.Front{Minutes: tt.says}, Doc: &source.Document{Body: []byte(tt.text)}}
		if got := text.ReadingMinutes(); got != tt.want {
			t.Errorf("%s: %d minutes, want %d", tt.name, got, tt.want)
		}
	}
}
