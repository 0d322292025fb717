package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"github.com/labd-dev/labd/sandbox"
)

// engineError adds to err the sentinel of package sandbox that tells a caller what to do.
func engineError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	case isUnreachable(err):
		return fmt.Errorf("%w: %w", sandbox.ErrUnavailable, err)
	}
	return err
}

// isUnreachable tells whether err means that the engine did not answer, rather than that it answered with a refusal.
func isUnreachable(err error) bool {
	var ne net.Error
	return client.IsErrConnectionFailed(err) || cerrdefs.IsUnavailable(err) || errors.As(err, &ne) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// isGone tells whether err means that the container does not exist or does not run.
func isGone(err error) bool {
	var ee *execError
	if errors.As(err, &ee) {
		// A container that ends while an exec starts gives any of these, or a message of the runtime on the stream.
		return ee.Status == 0 || ee.Status == http.StatusNotFound || ee.Status == http.StatusConflict ||
			ee.Status == http.StatusInternalServerError || ee.Status == http.StatusBadRequest
	}
	return cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err)
}
