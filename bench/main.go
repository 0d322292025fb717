// Command bench measures user-visible latency, build times and the cost of a node, each against a baseline from the same run.
//
//	go run ./bench [-bin bin] [-seed-dir /var/lib/labd/seed] [-only start,engine,echo,output,memory,idle,green,build,edit,pictures,weight,lighthouse]
//
// For labs it starts its own labd on loopback with a temporary data directory and uses the same API as a browser (docs/api.md). The
// baselines use the docker command and the Engine API on the same engine. For sites it runs sitegen and Hugo in turn on the same
// generated course. Absolute times are unreliable on shared machines, so compare the ratios.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// row is one figure with its baseline. goal describes the target ratio or value in words.
type row struct {
	figure string
	ours   string
	floor  string
	ratio  float64 // 0 if there is no baseline
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
	bin := flag.String("bin", "bin", "`folder` of labd and sitegen")
	seedDir := flag.String("seed-dir", envOr("LABD_SEED_DIR", "/var/lib/labd/seed"), "seed of the nodes")
	only := flag.String("only", "start,engine,echo,output,memory,idle,green,build,edit,pictures,weight,lighthouse", "figures to measure")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 40*time.Minute)
	defer cancel()

	chosen := strings.Split(*only, ",")
	var rows []row
	labRows, labErr := measureLabs(ctx, filepath.Join(*bin, "labd"), *seedDir, chosen)
	rows = append(rows, labRows...)
	siteRows, siteErr := measureSites(ctx, filepath.Join(*bin, "sitegen"), chosen)
	rows = append(rows, siteRows...)
	return errors.Join(labErr, siteErr, print(rows))
}

// figure is a benchmark of a subject S.
type figure[S any] struct {
	name string
	run  func(context.Context, S) ([]row, error)
}

// measure runs the chosen benchmarks of a subject. It opens the subject only if there are any.
func measure[S any](ctx context.Context, chosen []string, open func() (S, func(), error), figures []figure[S]) ([]row, error) {
	figures = slices.DeleteFunc(figures, func(f figure[S]) bool { return !slices.Contains(chosen, f.name) })
	if len(figures) == 0 {
		return nil, nil
	}
	subject, closeIt, err := open()
	if err != nil {
		return nil, err
	}
	defer closeIt()
	var rows []row
	var failed []error
	for _, f := range figures {
		begin := time.Now()
		r, err := f.run(ctx, subject)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", f.name, err))
			continue
		}
		fmt.Fprintf(os.Stderr, "%s measured in %.0f s\n", f.name, time.Since(begin).Seconds())
		rows = append(rows, r...)
	}
	return rows, errors.Join(failed...)
}

func measureLabs(ctx context.Context, bin, seedDir string, chosen []string) ([]row, error) {
	open := func() (*labd, func(), error) {
		l, err := startLabd(ctx, bin, seedDir)
		if err != nil {
			return nil, nil, err
		}
		return l, l.close, nil
	}
	// A figure of labs needs the node's image, and says what labd said when it fails.
	withImage := func(run func(context.Context, *labd, string) ([]row, error)) func(context.Context, *labd) ([]row, error) {
		return func(ctx context.Context, l *labd) ([]row, error) {
			image, err := nodeImage(seedDir)
			if err != nil {
				return nil, err
			}
			rows, err := run(ctx, l, image)
			if err != nil {
				return nil, fmt.Errorf("%w\nlabd said:\n%s", err, l.logTail())
			}
			return rows, nil
		}
	}
	return measure(ctx, chosen, open, []figure[*labd]{
		{"start", withImage(measureStart)},
		{"engine", withImage(measureEngine)},
		{"echo", withImage(measureEcho)},
		{"output", withImage(measureOutput)},
		{"memory", withImage(measureTerminals)},
		{"idle", withImage(measureIdle)},
		{"green", withImage(measureGreen)},
	})
}

func measureSites(ctx context.Context, bin string, chosen []string) ([]row, error) {
	open := func() (*siteBench, func(), error) {
		s, err := newSiteBench(bin)
		if err != nil {
			return nil, nil, err
		}
		return s, s.close, nil
	}
	return measure(ctx, chosen, open, []figure[*siteBench]{
		{"build", measureBuilds},
		{"edit", measureEdits},
		{"pictures", measurePictures}, {"weight", measureWeight}, {"lighthouse", measureLighthouse},
	})
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
