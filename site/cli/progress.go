package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// progressDelay is how long a command may stay silent. Most runs are over before that.
	progressDelay = time.Second
	// On a terminal one line is redrawn. A pipe or a log file gets a new line each time, so it gets
	// fewer.
	terminalInterval = 200 * time.Millisecond
	logInterval      = 10 * time.Second
	// minEstimate is how much of a stage must be done before the remaining time is worth telling,
	// as 1/minEstimate.
	minEstimate = 50
)

// progress writes a progress line for work that takes longer than progressDelay, such as
//
//	images: 120 of 990, 35 s left
//
// Its goroutine runs until stop is called.
type progress struct {
	out      io.Writer
	terminal bool
	quit     chan struct{}
	ended    chan struct{}

	mu    sync.Mutex // guards what follows
	stage string
	done  int
	total int
	began time.Time // of the stage
}

// startProgress returns a progress that writes to out. The caller must call stop before it writes
// to out itself.
func startProgress(out io.Writer) *progress { return newProgress(out, isTerminal(out)) }

func newProgress(out io.Writer, terminal bool) *progress {
	p := &progress{out: out, terminal: terminal, quit: make(chan struct{}), ended: make(chan struct{})}
	go p.run()
	return p
}

// isTerminal reports whether out is a terminal that can redraw a line.
func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// step reports that done of total units of a stage are finished. A total of 0 means that nobody
// knows it. It is safe for concurrent use; reports that arrive late and count less than an earlier
// one are ignored.
func (p *progress) step(stage string, done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if stage != p.stage {
		p.stage, p.done, p.began = stage, 0, time.Now()
	}
	p.done, p.total = max(p.done, done), total
}

// stop ends the goroutine, waits for it, and clears the line on a terminal.
func (p *progress) stop() {
	close(p.quit)
	<-p.ended
}

func (p *progress) run() {
	defer close(p.ended)
	interval := logInterval
	if p.terminal {
		interval = terminalInterval
	}
	next := time.NewTimer(progressDelay)
	defer next.Stop()
	shown := ""
	for {
		select {
		case <-p.quit:
			if p.terminal && shown != "" {
				fmt.Fprint(p.out, "\r\x1b[K")
			}
			return
		case <-next.C:
		}
		next.Reset(interval)
		line := p.line()
		switch {
		case line == shown:
		case p.terminal:
			fmt.Fprint(p.out, "\r\x1b[K"+line) // carriage return, then clear to the end of the line
		default:
			fmt.Fprintln(p.out, line)
		}
		shown = line
	}
}

// line is the current progress line, "" before the first step.
func (p *progress) line() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.stage == "":
		return ""
	case p.total == 0:
		return fmt.Sprintf("%s: %d", p.stage, p.done)
	}
	line := fmt.Sprintf("%s: %d of %d", p.stage, p.done, p.total)
	if p.done > 0 && p.done < p.total && p.done >= p.total/minEstimate {
		left := time.Duration(float64(time.Since(p.began)) / float64(p.done) * float64(p.total-p.done))
		line += ", " + roughly(left) + " left"
	}
	return line
}

// roughly rounds an estimate: to seconds below two minutes, to minutes above.
func roughly(d time.Duration) string {
	if d < 2*time.Minute {
		return fmt.Sprintf("%d s", max(1, int(d.Round(time.Second)/time.Second)))
	}
	return fmt.Sprintf("%d min", int(d.Round(time.Minute)/time.Minute))
}
