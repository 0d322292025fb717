package cli

import (
	"context"
	"errors"
	"flag"

	"github.com/labd-dev/labd/internal/command"
	"github.com/labd-dev/labd/internal/config"
	"github.com/labd-dev/labd/internal/setup"
)

const doctorUsage = `usage: labd doctor [--json] [--config FILE]

Checks everything that labs need on this machine. Reports what is missing and the command that fixes it.
Changes nothing. The exit code is 0 if labs can run, otherwise 1.
`

func runDoctor(ctx context.Context, e *command.Env, args []string) error {
	fs := flag.NewFlagSet("labd doctor", flag.ContinueOnError)
	asJSON := fs.Bool("json", false, "print the findings as JSON")
	file := configFlag(fs)
	if _, err := command.Parse(fs, e, doctorUsage, 0, args); err != nil {
		return err
	}
	cfg, cfgErr := loadConfig(*file)
	if cfgErr != nil {
		cfg = config.Default()
	} else {
		cfgErr = cfg.Check()
	}
	report := setup.Diagnose(ctx, setup.Local{}, setup.DoctorOptions{
		ConfigErr: cfgErr,
		Isolation: cfg.Sandbox.Isolation,
		Addr:      cfg.Listen,
		DataDir:   cfg.DataDir,
		Endpoint:  cfg.Sandbox.DockerHost,
		Seed:      inspectSeed(cfg),
	})
	print := report.Text
	if *asJSON {
		print = report.JSON
	}
	if err := print(e.Stdout); err != nil {
		return err
	}
	if !report.LabsCanRun {
		return errors.New("labs can't run on this machine yet")
	}
	return nil
}
