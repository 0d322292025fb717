//go:build holddeps

// Package deps pins what the project will import while its parts are being written; removed before release.
package deps

import (
	_ "github.com/BurntSushi/toml"
	_ "github.com/alecthomas/chroma/v2"
	_ "github.com/creack/pty"
	_ "github.com/docker/docker/client"
	_ "github.com/evanw/esbuild/pkg/api"
	_ "github.com/gorilla/websocket"
	_ "github.com/hashicorp/yamux"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/yuin/goldmark"
	_ "golang.org/x/sync/errgroup"
	_ "golang.org/x/sys/unix"
	_ "modernc.org/sqlite"
)
