//go:build linux

package docker_test

import (
	"io"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/labd-dev/labd/sandbox"
	"github.com/labd-dev/labd/sandbox/docker/seed"
)

// BenchmarkFirstPrompt measures the time from Create to the first byte of a login shell.
func BenchmarkFirstPrompt(b *testing.B) {
	bed := newBed(b)
	d := bed.driver(b)
	size := sandbox.Size{Cols: 80, Rows: 24}
	var create, prompt []time.Duration
	for b.Loop() {
		at := time.Now()
		st, err := d.Create(b.Context(), one("bench"))
		if err != nil {
			b.Fatal(err)
		}
		create = append(create, time.Since(at))
		n := st.Nodes()[0]
		if err := n.OpenTerminal(b.Context(), sandbox.TerminalSpec{ID: "t1", Size: size}); err != nil {
			b.Fatal(err)
		}
		a, err := n.Attach(b.Context(), "t1", 0, size)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(a, make([]byte, 1)); err != nil {
			b.Fatal(err)
		}
		prompt = append(prompt, time.Since(at))
		b.StopTimer()
		a.Close()
		if err := d.Destroy(b.Context(), "bench"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	report(b, create, "create-ms")
	report(b, prompt, "prompt-ms")
}

// BenchmarkFirstPromptFloor measures the same for `docker run` of the node image with a shell.
func BenchmarkFirstPromptFloor(b *testing.B) {
	bed := newBed(b)
	s, err := seed.Open(bed.cfg.SeedDir)
	if err != nil {
		b.Fatal(err)
	}
	var prompt []time.Duration
	for b.Loop() {
		at := time.Now()
		cmd := exec.Command("docker", "run", "--rm", "-i", "--runtime", "runsc", "--network", "none", "--entrypoint", "/bin/bash", s.NodeImage, "-c", "echo $; cat")
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
			b.Fatal(err)
		}
		prompt = append(prompt, time.Since(at))
		b.StopTimer()
		in.Close()
		if err := cmd.Wait(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	report(b, prompt, "prompt-ms")
}

// report reports the median.
func report(b *testing.B, d []time.Duration, unit string) {
	slices.Sort(d)
	b.ReportMetric(float64(d[len(d)/2].Microseconds())/1000, unit)
}
