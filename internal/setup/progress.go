package setup

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// nameWidth is the width of the column with the step names.
const nameWidth = 12

// maxShownLine is the maximum length of a program's output line that is shown as progress.
const maxShownLine = 90

// printLine prints a line of setup's table. It omits took if that is zero.
func printLine(w io.Writer, mark, name, text string, took time.Duration) {
	if took > 0 {
		text += " (" + seconds(took) + ")"
	}
	fmt.Fprintf(w, "  %s %-*s %s\n", mark, nameWidth, name, text)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// Progress shows that a long step is still running. Programs write their output to it, and from
// time to time it prints the last line.
type Progress struct {
	out  io.Writer
	quit chan struct{}
	done chan struct{}

	mu   sync.Mutex
	last string // guarded by mu: last complete line
	part []byte // guarded by mu: incomplete line
}

func startProgress(out io.Writer, every time.Duration) *Progress {
	p := &Progress{out: out, quit: make(chan struct{}), done: make(chan struct{})}
	go p.beat(every)
	return p
}

// stop ends the periodic output and waits for it.
func (p *Progress) stop() {
	close(p.quit)
	<-p.done
}

func (p *Progress) beat(every time.Duration) {
	defer close(p.done)
	begin := time.Now()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-p.quit:
			return
		case <-tick.C:
			p.mu.Lock()
			line := fmt.Sprintf("%.0f s", time.Since(begin).Seconds())
			if p.last != "" {
				line += ": " + p.last
			}
			p.mu.Unlock()
			p.Note("%s", line)
		}
	}
}

// Note prints a line under the step.
func (p *Progress) Note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	printLine(p.out, " ", "", fmt.Sprintf(format, args...), 0)
}

// Write receives a program's output. It never fails.
func (p *Progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.part = append(p.part, b...)
	if i := bytes.LastIndexAny(p.part, "\n\r"); i >= 0 {
		whole := bytes.TrimRight(p.part[:i], "\n\r")
		if j := bytes.LastIndexAny(whole, "\n\r"); j >= 0 {
			whole = whole[j+1:]
		}
		if line := strings.TrimSpace(strings.ToValidUTF8(string(whole), "?")); line != "" {
			if utf8.RuneCountInString(line) > maxShownLine {
				line = string([]rune(line)[:maxShownLine]) + "…"
			}
			p.last = line
		}
		p.part = append(p.part[:0], p.part[i+1:]...)
	}
	if len(p.part) > maxOutput {
		p.part = p.part[:0]
	}
	return len(b), nil
}
