package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	embedded "github.com/labd-dev/labd"
	"github.com/labd-dev/labd/internal/command"
	"github.com/labd-dev/labd/internal/config"
	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/labtest"
	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/sandbox/docker"
	"github.com/labd-dev/labd/sandbox/docker/seed"
	"github.com/labd-dev/labd/sandbox/images"
)

const labDirUsage = `DIR is a directory of labs, or of one lab. The default is labs_dir of lab.toml, else the embedded labs.
`

const (
	labValidateAbout = `Checks labs and prints every mistake with its file and line.

`
	labTestAbout = `Tests labs on real nodes, as root. For each step, the check must fail before the solution, recognize the
wrong states that have a block, and pass after the solution.

`
	labNewAbout = `Creates the directory of a new lab with lab.md and lab.zh.md. The lab is valid, so you can change it step by step.
`
)

// labtestInstance separates the stacks of tests from those of a running labd.
const labtestInstance = "labtest"

// openLabs reads the labs in dir, else in labs_dir, else the embedded ones. It checks that their
// images are in the seed.
func openLabs(dir string, cfg config.Config) ([]*lab.Lab, error) {
	if dir == "" {
		dir = cfg.LabsDir
	}
	if dir != "" {
		dir = filepath.Clean(dir)
	}
	var labs []*lab.Lab
	var err error
	prefix := "labs"
	switch {
	case dir == "":
		labs, err = lab.Load(embedded.Labs(), prefix)
	case isFile(filepath.Join(dir, "lab.md")):
		abs, aerr := filepath.Abs(dir)
		if aerr != nil {
			return nil, aerr
		}
		prefix = strings.TrimSuffix(filepath.ToSlash(dir), "/"+filepath.Base(abs))
		if prefix == filepath.ToSlash(dir) {
			prefix = ".."
		}
		var l *lab.Lab
		if l, err = lab.LoadOne(os.DirFS(filepath.Dir(abs)), prefix, filepath.Base(abs)); err == nil {
			labs = []*lab.Lab{l}
		}
	default:
		prefix = filepath.ToSlash(dir)
		if labs, err = lab.Load(os.DirFS(dir), prefix); err == nil && len(labs) == 0 {
			return nil, fmt.Errorf("no labs in %s", dir)
		}
	}
	if se := (*source.Error)(nil); err != nil && !errors.As(err, &se) {
		return nil, fmt.Errorf("labs in %s: %w", prefix, err)
	}
	have, ierr := seedImages(cfg)
	if ierr != nil {
		return nil, ierr
	}
	errs := []error{err}
	for _, l := range labs {
		errs = append(errs, lab.Validate(l, have))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, source.Counted(err)
	}
	return labs, nil
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// seedImages returns the images of the seed. If it is not built yet, it returns the images that a
// build would make.
func seedImages(cfg config.Config) ([]string, error) {
	s, err := seed.Open(cfg.SeedDir)
	if err == nil {
		return s.Images, nil
	}
	cat, err := images.Load("amd64") // the tags are the same on every architecture
	if err != nil {
		return nil, fmt.Errorf("read the image recipes: %w", err)
	}
	return cat.Tags(), nil
}

// readLabs parses the flags of a command that takes DIR, and reads its labs.
func readLabs(fl *flag.FlagSet, about string, e *command.Env, args []string) (cfg config.Config, labs []*lab.Lab, err error) {
	file := configFlag(fl)
	words, err := command.Parse(fl, e, "usage: "+fl.Name()+" [DIR] [flags]\n\n"+about+labDirUsage, 1, args)
	if err != nil {
		return cfg, nil, err
	}
	if cfg, err = loadConfig(*file); err != nil {
		return cfg, nil, err
	}
	labs, err = openLabs(strings.Join(words, ""), cfg)
	return cfg, labs, err
}

func runLabValidate(_ context.Context, e *command.Env, args []string) error {
	fl := flag.NewFlagSet("labd lab validate", flag.ContinueOnError)
	_, labs, err := readLabs(fl, labValidateAbout, e, args)
	if err != nil {
		return err
	}
	for _, l := range labs {
		fmt.Fprintf(e.Stdout, "%s: %d steps, %s\n", l.ID, len(l.Steps), strings.Join(l.Langs, ", "))
	}
	return nil
}

func runLabTest(ctx context.Context, e *command.Env, args []string) error {
	fl := flag.NewFlagSet("labd lab test", flag.ContinueOnError)
	id := fl.String("lab", "", "test only the lab with this `id`")
	step := fl.String("step", "", "test only the step with this `anchor`; earlier steps are only solved")
	junit := fl.String("junit", "", "also write the results to this `file` as JUnit XML")
	cfg, labs, err := readLabs(fl, labTestAbout, e, args)
	if err != nil {
		return err
	}
	if labs, err = chosen(labs, *id, *step); err != nil {
		return err
	}
	driver, err := docker.New(ctx, driverConfig(cfg, labtestInstance))
	if err != nil {
		return err
	}
	defer driver.Close()
	if err := driver.Ready(ctx); err != nil {
		return err
	}
	start := time.Now()
	cases, err := (&labtest.Tester{Driver: driver, Out: e.Stdout, Step: *step}).Run(ctx, labs)
	if *junit != "" && len(cases) > 0 {
		err = errors.Join(err, writeJUnit(*junit, cases))
	}
	if err != nil {
		return err
	}
	failed := labtest.Failed(cases)
	fmt.Fprintf(e.Stdout, "%d labs, %d cases, %d failed, %.1f s; a check takes %d ms (median)\n",
		len(labs), len(cases), failed, time.Since(start).Seconds(), labtest.MedianLook(cases).Milliseconds())
	if failed > 0 {
		return fmt.Errorf("%d of %d cases failed", failed, len(cases))
	}
	return nil
}

// chosen selects the labs for --lab and --step.
func chosen(labs []*lab.Lab, id, step string) ([]*lab.Lab, error) {
	var out []*lab.Lab
	var ids, anchors []string
	for _, l := range labs {
		ids = append(ids, l.ID)
		if id != "" && l.ID != id {
			continue
		}
		for _, s := range l.Steps {
			anchors = append(anchors, s.Anchor)
		}
		if step == "" || l.Step(step) != nil {
			out = append(out, l)
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case id != "" && len(anchors) == 0:
		return nil, command.Misuse("no lab %q; the labs are %s", id, strings.Join(ids, ", "))
	default:
		return nil, command.Misuse("no step %q; the steps are %s", step, strings.Join(anchors, ", "))
	}
}

func writeJUnit(file string, cases []labtest.Case) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("write JUnit: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return labtest.WriteJUnit(f, cases)
}

func runLabNew(_ context.Context, e *command.Env, args []string) error {
	fl := flag.NewFlagSet("labd lab new", flag.ContinueOnError)
	dir := fl.String("dir", "labs", "`directory` of labs to create it in")
	words, err := command.Parse(fl, e, "usage: labd lab new ID [flags]\n\n"+labNewAbout, 1, args)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return command.Misuse("the id of the new lab is missing: labd lab new ID")
	}
	id := words[0]
	files, err := lab.Template(id)
	if err != nil {
		return err
	}
	target := filepath.Join(*dir, id)
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return fmt.Errorf("create the directory of labs: %w", err)
	}
	if err := os.Mkdir(target, 0o755); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s already exists: choose another id, or edit that lab", target)
	} else if err != nil {
		return fmt.Errorf("create the lab's directory: %w", err)
	}
	for _, f := range files {
		name := filepath.Join(target, f.Path)
		if err := os.WriteFile(name, f.Data, f.Mode); err != nil {
			return fmt.Errorf("write the new lab: %w", err)
		}
		fmt.Fprintln(e.Stdout, name)
	}
	fmt.Fprintf(e.Stdout, "Edit the lab, check it with `labd lab validate %s`, and test it with `labd lab test %s --lab %s`.\n", *dir, *dir, id)
	return nil
}
