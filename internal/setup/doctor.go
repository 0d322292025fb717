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

// State is how a check ended.
type State string

const (
	OK      State = "ok"      // as it should be
	Warning State = "warning" // labs run, with a drawback
	Failure State = "failure" // labs can't run
	Skipped State = "skipped" // can't be told before another failure is mended
)

// Result is what one check found.
type Result struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail"`        // what was seen, in plain words
	Fix    string `json:"fix,omitempty"` // the exact command or sentence that mends it
}

// Check looks at one thing. Run changes nothing on the machine.
type Check struct {
	Name string
	Run  func(ctx context.Context, m *Machine) Result
}

// Seed is what the doctor has to know of the seed store.
type Seed struct {
	Problem   string // "" if it is built and current
	Detail    string // what is there
	Usable    bool   // nodes can be made from it, though it may be stale
	NodeImage string // the image of nodes, which the engine must have
}

// DoctorOptions say how labd is going to be run.
type DoctorOptions struct {
	ConfigErr error             // what is wrong with lab.toml
	Isolation isolation.Profile // the zero value means the default profile
	Addr      string            // TCP address that labd will listen on
	DataDir   string
	Endpoint  string // the engine's address; "" means DOCKER_HOST or the local socket
	// Seed looks at the seed store. Nil leaves the check out.
	Seed func(ctx context.Context) Seed
}

// Machine is what checks look at: the host, and the engine's answer, asked for once.
type Machine struct {
	Host
	DoctorOptions
	endpoint  string
	runsc     string
	engine    *engineInfo // nil if engineErr
	engineErr error
}

// checkTimeout bounds one check.
const checkTimeout = 20 * time.Second

// Checks returns the doctor's checks in the order in which they are worth mending.
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

// Report is the doctor's answer.
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
		b.WriteString("Labs can't run here yet; the site can. Mend what is marked ✗, from the top.\n")
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

// needsEngine is the result of checks that only an engine can answer.
func needsEngine() Result { return skipped("can't be told before an engine answers") }
