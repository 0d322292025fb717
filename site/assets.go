package site

import "embed"

//go:embed all:assets
var embeddedAssets embed.FS
