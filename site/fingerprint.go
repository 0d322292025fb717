package site

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
)

// fingerprint returns a digest of all input of a build: content, labs, options, assets and this
// program. It is empty if that can't be determined; then the site is built.
func fingerprint(ctx context.Context, src Source, opts Options) (string, error) {
	if src.LabErr != nil {
		return "", nil
	}
	program, err := os.Executable()
	if err != nil {
		return "", nil
	}
	info, err := os.Stat(program)
	if err != nil {
		return "", nil
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %d %d\n%q %q %v %v %v %q %v %q %q\n", program, info.Size(), info.ModTime().UnixNano(),
		opts.BaseURL, opts.DefaultLang, opts.Drafts, opts.Strict, opts.Compress, opts.LiveScript, opts.Labs, opts.Cards, src.ContentName)
	if err := json.NewEncoder(h).Encode(src.Labs); err != nil {
		return "", fmt.Errorf("comparing the labs: %w", err)
	}
	if err := json.NewEncoder(h).Encode(src.Updated); err != nil {
		return "", fmt.Errorf("comparing dates: %w", err)
	}
	if err := hashFiles(ctx, h, src.Content); err != nil {
		return "", fmt.Errorf("reading the content: %w", err)
	}
	// The built-in assets are part of the program.
	if opts.Assets != nil {
		if err := hashFiles(ctx, h, opts.Assets); err != nil {
			return "", fmt.Errorf("reading the assets: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashFiles(ctx context.Context, h hash.Hash, fsys fs.FS) error {
	return fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && name != "." {
				return nil
			}
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		fmt.Fprintf(h, "%q %v\n", name, d.Type())
		if !d.Type().IsRegular() {
			return nil
		}
		data, err := fs.ReadFile(fsys, name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%d\n", len(data))
		_, _ = h.Write(data) // a hash never fails
		return nil
	})
}
