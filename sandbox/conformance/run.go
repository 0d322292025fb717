package conformance

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/labd-dev/labd/sandbox"
)

const (
	scriptTimeout = 60 * time.Second
	maxOutput     = 64 << 10
)

// Machine runs commands as root beside a Docker engine. sandbox.Node is one.
type Machine interface {
	Exec(ctx context.Context, cmd sandbox.Command) (sandbox.Result, error)
}

// Result is how one behaviour came out.
type Result struct {
	Behaviour
	Output string
	Passed bool
	Took   time.Duration
}

// prelude comes before each script.
const prelude = `exec 2>&1
cd "$(mktemp -d)" || exit
export DOCKER_CLI_HINTS=false COMPOSE_ANSI=never COMPOSE_PROGRESS=plain BUILDKIT_PROGRESS=plain
until_ok() {
	local end=$((SECONDS + 20))
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { echo "not in 20 s: $*"; return 1; }
		sleep 0.1
	done
}
`

// cleanup removes what a script left. It asks before it removes, because most scripts leave little.
const cleanup = `exec >/dev/null 2>&1
for job in $(jobs -p); do kill $job; done
docker info --format '{{.Swarm.LocalNodeState}}' | grep -q inactive || docker swarm leave --force
list=$(docker ps -aq); [ -z "$list" ] || docker rm -fv $list
list=$(docker network ls -q --filter type=custom); [ -z "$list" ] || docker network rm $list
list=$(docker volume ls -q); [ -z "$list" ] || docker volume rm $list
list=$(docker images --format '{{.Repository}}:{{.Tag}}' 't/*'; docker images -q --filter dangling=true); [ -z "$list" ] || docker rmi -f $list
true`

// Run tries one behaviour on m and cleans up. The error is m's; a script that prints something else
// than expected is a Result that did not pass.
func Run(ctx context.Context, m Machine, b Behaviour) (Result, error) {
	start := time.Now()
	output, err := run(ctx, m, prelude+b.Script)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", b.Name, err)
	}
	took := time.Since(start)
	if _, err := run(ctx, m, cleanup); err != nil {
		return Result{}, fmt.Errorf("clean up after %s: %w", b.Name, err)
	}
	return Result{Behaviour: b, Output: output, Passed: b.Match(output), Took: took}, nil
}

func run(ctx context.Context, m Machine, script string) (string, error) {
	limited, cancel := context.WithTimeout(ctx, scriptTimeout)
	defer cancel()
	res, err := m.Exec(limited, sandbox.Command{Args: []string{"bash", "-c", script}, MaxOutput: maxOutput})
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case limited.Err() != nil:
		return string(res.Stdout) + fmt.Sprintf("\nnot finished after %v", scriptTimeout), nil
	case err != nil:
		return "", err
	}
	return string(res.Stdout), nil
}

// Problem returns what is wrong with the result on a profile, or "".
func (r Result) Problem(profile string) string {
	reason, differs := r.Differs[profile]
	switch {
	case r.Passed && differs:
		return fmt.Sprintf("%s:%d: %q works on %s now: remove its line \"differs %s: %s\"", r.File, r.Line, r.Name, profile, profile, reason)
	case !r.Passed && !differs:
		return fmt.Sprintf("%s:%d: %q\n%s\n--- expected\n%s\n--- %s\n%s", r.File, r.Line, r.Name, r.Script, r.Want, profile, strings.TrimRight(r.Output, "\n"))
	}
	return ""
}
