package main

import (
	"context"
	"errors"
)

func runImages(ctx context.Context, e *env, args []string) error {
	return errors.New("being written")
}
