package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	starts     = 10   // per start figure
	keystrokes = 2000 // per echo figure
	outputSize = 64 << 20
	terminals  = 200
	lab        = "first-container"
)

// untilEngine is a loop that ends when the node's engine answers; both sides of the figure run the same one.
const untilEngine = `until docker info >/dev/null 2>&1; do sleep 0.02; done; echo "engine" "answers"`

// measureStart: click on Start to the first prompt, beside `docker run` of the node image to a shell's first byte.
func measureStart(ctx context.Context, l *labd, image string) ([]row, error) {
	var ours, floor []time.Duration
	for range starts {
		begin := time.Now()
		s, err := l.start(ctx, lab)
		if err != nil {
			return nil, err
		}
		t, err := l.open(ctx, s.ID, "t1")
		if err != nil {
			return nil, err
		}
		if err := readUntil(t, "# "); err != nil {
			return nil, err
		}
		ours = append(ours, time.Since(begin))
		t.Close()
		if err := l.end(ctx, s.ID); err != nil {
			return nil, err
		}

		args := append([]string{"run", "--rm", "-i"}, nodeArgs...)
		cmd := exec.CommandContext(ctx, "docker", append(args, "--entrypoint", "bash", image, "-c", "echo up; read -r line")...)
		in, err := cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		begin = time.Now()
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
			return nil, fmt.Errorf("docker run: %w", err)
		}
		floor = append(floor, time.Since(begin))
		in.Close()
		_ = cmd.Wait() // read's end of input is its exit code
	}
	return []row{ratioRow("click on Start to the first prompt, p50", ours, floor, 0.5, 1.3)}, nil
}

// measureEngine: click to `docker info` answering, beside the same node started by hand.
func measureEngine(ctx context.Context, l *labd, image string) ([]row, error) {
	var ours, floor []time.Duration
	for range starts {
		begin := time.Now()
		s, err := l.start(ctx, lab)
		if err != nil {
			return nil, err
		}
		t, err := l.open(ctx, s.ID, "t1")
		if err != nil {
			return nil, err
		}
		if _, err := io.WriteString(t, untilEngine+"\n"); err != nil {
			return nil, err
		}
		if err := readUntil(t, "engine answers"); err != nil {
			return nil, err
		}
		ours = append(ours, time.Since(begin))
		t.Close()
		if err := l.end(ctx, s.ID); err != nil {
			return nil, err
		}

		begin = time.Now()
		id, err := handNode(ctx, image)
		if err != nil {
			return nil, err
		}
		if _, err := docker(ctx, "exec", id, "bash", "-c", untilEngine); err != nil {
			return nil, err
		}
		floor = append(floor, time.Since(begin))
		if err := removeNode(id); err != nil {
			return nil, err
		}
	}
	return []row{ratioRow("click to docker info answering, p50", ours, floor, 0.5, 1.2)}, nil
}

// both opens a terminal through labd and an exec stream into the same node, runs script in each and calls f.
func both(ctx context.Context, l *labd, script string, f func(ours, floor io.ReadWriter) error) error {
	s, err := l.start(ctx, lab)
	if err != nil {
		return err
	}
	defer l.end(context.WithoutCancel(ctx), s.ID)
	if _, err := l.await(ctx, s.ID, func(s session) bool { return s.Engine == "ready" }); err != nil {
		return err
	}
	t, err := l.open(ctx, s.ID, "t1")
	if err != nil {
		return err
	}
	defer t.Close()
	if _, err := io.WriteString(t, script+"\n"); err != nil {
		return err
	}
	node, err := nodeOf(ctx, l.dir)
	if err != nil {
		return err
	}
	e, err := openExec(ctx, node, script)
	if err != nil {
		return err
	}
	defer e.Close()
	return f(t, e)
}

// measureEcho: a keystroke and its echo through the browser's protocol, beside the same bytes over one exec stream.
func measureEcho(ctx context.Context, l *labd, _ string) ([]row, error) {
	var ours, floor []time.Duration
	err := both(ctx, l, `stty raw -echo; echo "re""ady"; exec cat`, func(o, f io.ReadWriter) error {
		for _, side := range []io.ReadWriter{o, f} {
			if err := readUntil(side, "ready\n"); err != nil {
				return err
			}
		}
		key := make([]byte, 1)
		for i := range 2 * keystrokes {
			side, times := o, &ours
			if i%2 == 1 {
				side, times = f, &floor
			}
			key[0] = byte('a' + i%26)
			begin := time.Now()
			if _, err := side.Write(key); err != nil {
				return err
			}
			if _, err := io.ReadFull(side, key); err != nil {
				return err
			}
			*times = append(*times, time.Since(begin))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []row{
		ratioRow("keystroke echo, p50 of 2000", ours, floor, 0.5, 1.5),
		ratioRow("keystroke echo, p99 of 2000", ours, floor, 0.99, 1.5),
	}, nil
}

// measureOutput: 64 MB of output, beside the same over one exec stream.
func measureOutput(ctx context.Context, l *labd, _ string) ([]row, error) {
	var ours, floor []float64
	script := fmt.Sprintf(`stty raw -echo; echo "re""ady"; while read -r go; do head -c %d /dev/zero | tr '\0' x; done`, outputSize)
	err := both(ctx, l, script, func(o, f io.ReadWriter) error {
		for _, side := range []io.ReadWriter{o, f} {
			if err := readUntil(side, "ready\n"); err != nil {
				return err
			}
		}
		for i := range 6 {
			side, speeds := o, &ours
			if i%2 == 1 {
				side, speeds = f, &floor
			}
			begin := time.Now()
			if _, err := io.WriteString(side, "go\n"); err != nil {
				return err
			}
			if _, err := io.CopyN(io.Discard, side, outputSize); err != nil {
				return err
			}
			*speeds = append(*speeds, outputSize/1e6/time.Since(begin).Seconds())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	o, f := middle(ours), middle(floor)
	return []row{{
		figure: "output of 64 MB", ours: fmt.Sprintf("%.0f MB/s", o), floor: fmt.Sprintf("%.0f MB/s", f),
		ratio: o / f, goal: "at least 0.70 x", met: o/f >= 0.7,
	}}, nil
}

// measureTerminals: labd's memory for each of 200 idle terminals, spread over learners as in a class.
func measureTerminals(ctx context.Context, l *labd, _ string) ([]row, error) {
	const each = 20 // terminals of one learner
	// A labd of its own whose runtime gives memory back at once, so that what is resident is what is in use.
	l, err := startLabd(ctx, l.bin, l.seedDir, "GOMEMLIMIT=12MiB")
	if err != nil {
		return nil, err
	}
	defer l.close()
	type seat struct {
		learner *labd
		session string
	}
	var seats []seat
	for range terminals / each {
		learner, err := l.other()
		if err != nil {
			return nil, err
		}
		s, err := learner.start(ctx, lab)
		if err != nil {
			return nil, err
		}
		defer learner.end(context.WithoutCancel(ctx), s.ID)
		if _, err := learner.await(ctx, s.ID, func(s session) bool { return s.Engine == "ready" }); err != nil {
			return nil, err
		}
		seats = append(seats, seat{learner, s.ID})
	}
	var open []*terminal
	defer func() {
		for _, t := range open {
			t.Close()
		}
	}()
	// One terminal per learner first: what the first one of a node costs is the node's, not the terminal's.
	fill := func(from, to int) error {
		for i := from; i < to; i++ {
			for _, seat := range seats {
				t, err := seat.learner.open(ctx, seat.session, fmt.Sprintf("t%d", i))
				if err != nil {
					return err
				}
				open = append(open, t)
				if err := readUntil(t, "# "); err != nil {
					return err
				}
			}
		}
		time.Sleep(5 * time.Second) // idle is what is measured
		return nil
	}
	if err := fill(0, 1); err != nil {
		return nil, err
	}
	before, err := rssOf(l.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	if err := fill(1, each+1); err != nil {
		return nil, err
	}
	after, err := rssOf(l.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	kib := float64(after-before) / terminals / 1024
	return []row{{figure: "labd's memory per idle terminal (200 open)", ours: fmt.Sprintf("%.0f KiB", kib), floor: "-",
		goal: "at most 60 KiB", met: kib <= 60}}, nil
}

// measureIdle: an idle node with all course images, beside the node image idle with an empty engine.
func measureIdle(ctx context.Context, l *labd, image string) ([]row, error) {
	s, err := l.start(ctx, lab)
	if err != nil {
		return nil, err
	}
	defer l.end(context.WithoutCancel(ctx), s.ID)
	if _, err := l.await(ctx, s.ID, func(s session) bool { return s.Engine == "ready" }); err != nil {
		return nil, err
	}
	hand, err := handNode(ctx, image)
	if err != nil {
		return nil, err
	}
	defer removeNode(hand)
	if _, err := docker(ctx, "exec", hand, "bash", "-c", untilEngine); err != nil {
		return nil, err
	}
	node, err := nodeOf(ctx, l.dir)
	if err != nil {
		return nil, err
	}
	time.Sleep(10 * time.Second) // idle is what is measured
	ours, err := memoryOf(ctx, node)
	if err != nil {
		return nil, err
	}
	floor, err := memoryOf(ctx, hand)
	if err != nil {
		return nil, err
	}
	disk, err := blocksBelow(filepath.Join(l.dir, "data", "nodes"))
	if err != nil {
		return nil, err
	}
	ratio := float64(ours) / float64(floor)
	const mib = 1 << 20
	return []row{
		{figure: "idle node's memory", ours: fmt.Sprintf("%.0f MiB", float64(ours)/mib), floor: fmt.Sprintf("%.0f MiB", float64(floor)/mib),
			ratio: ratio, goal: "at most 1.10 x", met: ratio <= 1.1},
		{figure: "idle node's disk, all images present", ours: fmt.Sprintf("%.2f MiB", float64(disk)/mib), floor: "-",
			goal: "at most 2 MiB", met: disk <= 2*mib},
	}, nil
}

// blocksBelow adds up what the regular files in dir and its node folders use on disk; mounted disks are not entered.
func blocksBelow(dir string) (int64, error) {
	var total int64
	var root syscall.Stat_t
	if err := syscall.Stat(dir, &root); err != nil {
		return 0, err
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil {
			return err
		}
		if st.Dev != root.Dev {
			return filepath.SkipDir
		}
		if d.Type().IsRegular() {
			total += st.Blocks * 512
		}
		return nil
	})
	return total, err
}

// measureGreen: wanted state reached to the step green in a real browser.
func measureGreen(ctx context.Context, l *labd, _ string) ([]row, error) {
	cmd := exec.CommandContext(ctx, "node", "green.bench.mjs", l.url)
	cmd.Dir = "e2e"
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("e2e/green.bench.mjs: %w", err)
	}
	var ms []float64
	if err := json.Unmarshal(out, &ms); err != nil {
		return nil, fmt.Errorf("e2e/green.bench.mjs printed %q: %w", out, err)
	}
	p50 := middle(ms)
	return []row{{figure: fmt.Sprintf("wanted state to step green in the browser, p50 of %d", len(ms)),
		ours: fmt.Sprintf("%.0f ms", p50), floor: "-", goal: "at most 400 ms", met: p50 <= 400}}, nil
}

func ratioRow(figure string, ours, floor []time.Duration, q, goal float64) row {
	o, f := quantile(ours, q), quantile(floor, q)
	ratio := float64(o) / float64(f)
	return row{figure: figure, ours: short(o), floor: short(f), ratio: ratio, goal: fmt.Sprintf("at most %.2f x", goal), met: ratio <= goal}
}

func short(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.0f us", float64(d.Nanoseconds())/1e3)
	}
	return fmt.Sprintf("%.0f ms", float64(d.Nanoseconds())/1e6)
}
