// Command bench measures what a learner feels and what a node costs, each beside its floor measured in the same run.
//
//	go run ./bench [-bin bin/labd] [-seed-dir /var/lib/labd/seed] [-only start,engine,echo,output,memory,idle,green]
//
// It starts a labd of its own on loopback with a data directory of its own, talks to it as a browser does (docs/api.md),
// and makes the floors with the docker command and the Engine API on the same engine. Absolute times lie on shared
// machines: read the ratios.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// row is one figure beside its floor. goal is in words, as the ratio or value that was promised.
type row struct {
	figure string
	ours   string
	floor  string
	ratio  float64 // 0: no floor
	goal   string
	met    bool
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	bin := flag.String("bin", "bin/labd", "labd to measure")
	seedDir := flag.String("seed-dir", envOr("LABD_SEED_DIR", "/var/lib/labd/seed"), "seed of the nodes")
	only := flag.String("only", "start,engine,echo,output,memory,idle,green", "figures to measure")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()

	image, err := nodeImage(*seedDir)
	if err != nil {
		return err
	}
	l, err := startLabd(ctx, *bin, *seedDir)
	if err != nil {
		return err
	}
	defer l.close()

	figures := []struct {
		name string
		run  func(context.Context, *labd, string) ([]row, error)
	}{
		{"start", measureStart},
		{"engine", measureEngine},
		{"echo", measureEcho},
		{"output", measureOutput},
		{"memory", measureTerminals},
		{"idle", measureIdle},
		{"green", measureGreen},
	}
	var rows []row
	var failed []error
	for _, f := range figures {
		if !slices.Contains(strings.Split(*only, ","), f.name) {
			continue
		}
		begin := time.Now()
		r, err := f.run(ctx, l, image)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w\nlabd said:\n%s", f.name, err, l.logTail()))
			continue
		}
		fmt.Fprintf(os.Stderr, "%s measured in %.0f s\n", f.name, time.Since(begin).Seconds())
		rows = append(rows, r...)
	}
	return errors.Join(append(failed, print(rows))...)
}

func print(rows []row) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "figure\tours\tfloor\tratio\tgoal\t")
	for _, r := range rows {
		ratio, verdict := "-", "short of the goal"
		if r.ratio > 0 {
			ratio = fmt.Sprintf("%.2f x", r.ratio)
		}
		if r.met {
			verdict = "met"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.figure, r.ours, r.floor, ratio, r.goal, verdict)
	}
	return w.Flush()
}

// quantile returns the q-quantile (0..1) of ds by the nearest rank.
func quantile(ds []time.Duration, q float64) time.Duration {
	sorted := slices.Clone(ds)
	slices.Sort(sorted)
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func envOr(key, fallback string) string {
	if v := os.Getenv(key); v != "" {
		return v
	}
	return fallback
}

// middle returns the median of xs.
func middle(xs []float64) float64 {
	sorted := slices.Clone(xs)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}
