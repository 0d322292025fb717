package setup

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/labd-dev/labd/sandbox/docker/isolation"
)

// State is the outcome of a check.
type State string

const (
	OK      State = "ok"      // no problem
	Warning State = "warning" // labs run, but with a drawback
	Failure State = "failure" // labs can't run
	Skipped State = "skipped" // cannot be checked until another failure is fixed
)

// Result is the result of one check.
type Result struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail"`        // what was seen, in plain words
	Fix    string `json:"fix,omitempty"` // the exact command or sentence that fixes it
}

// Check is one check. Run changes nothing on the machine.
type Check struct {
	Name string
	Run  func(ctx context.Context, m *Machine) Result
}

// Seed is what the doctor needs to know about the seed.
type Seed struct {
	Problem   string // "" if the seed is built and current
	Detail    string // a description of the seed
	Usable    bool   // nodes can be created from it, even if it is out of date
	NodeImage string // the node image, which the engine must have
}

// DoctorOptions describe how labd will be run.
type DoctorOptions struct {
	ConfigErr error             // the problem with lab.toml, if any
	Isolation isolation.Profile // the zero value means the default profile
	Addr      string            // TCP address that labd will listen on
	DataDir   string
	Endpoint  string // the engine's address; "" means DOCKER_HOST or the local socket
	// Seed inspects the seed. Nil skips the check.
	Seed func(ctx context.Context) Seed
}

// Machine is the input of the checks: the host, and the engine's information, which is requested
// once.
type Machine struct {
	Host
	DoctorOptions
	endpoint  string
	runsc     string
	engine    *engineInfo // nil if engineErr is set
	engineErr error
}

// checkTimeout bounds one check.
const checkTimeout = 20 * time.Second

// Checks returns the doctor's checks. The problems to fix first come first.
func Checks() []Check {
	return []Check{
		{"system", checkSystem},
		{"lab.toml", checkConfig},
		{"rights", checkRights},
		{"engine", checkEngine},
		{"engine API", checkEngineAPI},
		{"engine place", checkEnginePlace},
		{"processor", checkArch},
		{"cgroups", checkCgroups},
		{"gVisor", checkRunsc},
		{"gVisor runs", checkRunscRuns},
		{"runtime", checkRuntime},
		{"disks", checkDisks},
		{"seed", checkSeed},
		{"space", checkSpace},
		{"memory", checkMemory},
		{"port", checkPort},
		{"packages", checkPackages},
		{"Go", checkGo},
		{"Node.js", checkNode},
	}
}

// Diagnose runs all checks.
func Diagnose(ctx context.Context, h Host, opt DoctorOptions) Report {
	return newMachine(h, opt).diagnose(ctx)
}

func newMachine(h Host, opt DoctorOptions) *Machine {
	m := &Machine{Host: h, DoctorOptions: opt, endpoint: opt.Endpoint, runsc: runscPath}
	if m.endpoint == "" {
		m.endpoint = endpointOf(h)
	}
	if m.Isolation == (isolation.Profile{}) {
		m.Isolation = isolation.GVisor()
	}
	return m
}

func (m *Machine) diagnose(ctx context.Context) Report {
	m.engine, m.engineErr = inspectEngine(ctx, m, m.endpoint)
	r := Report{LabsCanRun: true}
	for _, c := range Checks() {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		res := c.Run(ctx, m)
		cancel()
		res.Name = c.Name
		r.Checks = append(r.Checks, res)
		if res.State == Failure {
			r.LabsCanRun = false
		}
	}
	return r
}

// Report is the doctor's report.
type Report struct {
	LabsCanRun bool     `json:"labs_can_run"`
	Checks     []Result `json:"checks"`
}

// JSON writes the report for programs.
func (r Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// Text writes the report for people.
func (r Report) Text(w io.Writer) error {
	marks := map[State]string{OK: "✓", Warning: "!", Failure: "✗", Skipped: "–"}
	var b strings.Builder
	for _, c := range r.Checks {
		printLine(&b, marks[c.State], c.Name, c.Detail, 0)
		if c.Fix != "" {
			for i, line := range strings.Split(c.Fix, "\n") {
				arrow := "→"
				if i > 0 {
					arrow = " "
				}
				fmt.Fprintf(&b, "    %*s %s %s\n", nameWidth, "", arrow, line)
			}
		}
	}
	if r.LabsCanRun {
		b.WriteString("Labs can run here.\n")
	} else {
		b.WriteString("Labs can't run here yet; the site can. Fix what is marked ✗, from the top.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func ok(format string, args ...any) Result {
	return Result{State: OK, Detail: fmt.Sprintf(format, args...)}
}

func warning(fix, format string, args ...any) Result {
	return Result{State: Warning, Detail: fmt.Sprintf(format, args...), Fix: fix}
}

func failure(fix, format string, args ...any) Result {
	return Result{State: Failure, Detail: fmt.Sprintf(format, args...), Fix: fix}
}

func skipped(format string, args ...any) Result {
	return Result{State: Skipped, Detail: fmt.Sprintf(format, args...)}
}

// needsEngine is the result of a check that needs an engine when none answers.
func needsEngine() Result { return skipped("not checked: no engine answers") }
