package main

import (
	"context"
	"errors"
)

func runLab(ctx context.Context, e *env, args []string) error {
	return errors.New("being written")
}
