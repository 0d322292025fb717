// Package bundle makes what browsers load of TypeScript and style sheets, with esbuild inside the program.
//
// # Sources
//
// All sources are in one folder. An import that begins with a dot names a file from the place of the one that imports it, with
// or without .ts, or with .js instead. Any other names an npm package, whose file is in the folder vendor under the last part
// of its name: @xterm/xterm is vendor/xterm.mjs, @xterm/xterm/css/xterm.css is vendor/xterm.css. An import
// with { type: "text" } is the small form of the file as a string.
//
// # Results
//
// A file is called assets/<name>-<hash>.<ext>, and the hash follows from what is in it: browsers may keep it for ever. What a
// script imports only when it needs it is a file of its own, and so is each picture that a style sheet names. The same sources give
// the same bytes.
package bundle

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// Vendor is the folder of what comes from npm.
const Vendor = "vendor"

// space is the namespace of esbuild in which the sources are, shown how messages call their folder.
const (
	space = "assets"
	shown = "site/assets"
)

// Bundle is what was made of some entry points.
type Bundle struct {
	CSS, JS []File // of the entry points
	Parts   []File // scripts that JS imports only when it needs them
	others  []File // pictures
}

// All are the files of a bundle.
func (b Bundle) All() []File { return slices.Concat(b.CSS, b.JS, b.Parts, b.others) }

// File is one file of a bundle.
type File struct {
	Path      string // "assets/site-ABCDEFGH.css"
	Integrity string // for the attribute of that name
	Data      []byte
}

// Build bundles entry points, which are files of fsys.
func Build(fsys fs.FS, entries ...string) (Bundle, error) {
	var names []string
	opts := options(fsys)
	for _, e := range entries {
		name := strings.TrimSuffix(path.Base(e), path.Ext(e))
		names = append(names, name)
		opts.EntryPointsAdvanced = append(opts.EntryPointsAdvanced, api.EntryPoint{InputPath: e, OutputPath: name})
	}
	opts.EntryNames, opts.AssetNames, opts.ChunkNames = "[name]-[hash]", "[name]-[hash]", "[name]-[hash]"
	opts.Splitting, opts.Format = true, api.FormatESModule
	opts.Loader = map[string]api.Loader{".svg": api.LoaderFile, ".woff2": api.LoaderFile}
	built, err := run(opts)
	if err != nil {
		return Bundle{}, err
	}
	var b Bundle
	for _, f := range built {
		sum := sha256.Sum256(f.Contents)
		base := path.Base(strings.ReplaceAll(f.Path, `\`, "/"))
		file := File{Path: "assets/" + base, Integrity: "sha256-" + base64.StdEncoding.EncodeToString(sum[:]), Data: f.Contents}
		entry := slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(base, name+"-") })
		switch ext := path.Ext(base); {
		case ext == ".css":
			b.CSS = append(b.CSS, file)
		case ext == ".js" && entry:
			b.JS = append(b.JS, file)
		case ext == ".js":
			b.Parts = append(b.Parts, file)
		default:
			b.others = append(b.others, file)
		}
	}
	return b, nil
}

// Script bundles one script into one file, for browsers that load it under a fixed name. define are the values of names that the
// script uses without defining them, as JSON.
func Script(fsys fs.FS, entry string, define map[string]string) ([]byte, error) {
	opts := options(fsys)
	opts.EntryPoints, opts.Format, opts.Define = []string{entry}, api.FormatIIFE, define
	built, err := run(opts)
	if err != nil {
		return nil, err
	}
	return built[0].Contents, nil
}

func options(fsys fs.FS) api.BuildOptions {
	return api.BuildOptions{
		Bundle:            true,
		Outdir:            "/out",
		Target:            api.ES2022,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		Charset:           api.CharsetUTF8,
		LegalComments:     api.LegalCommentsNone,
		TsconfigRaw:       `{"compilerOptions":{"verbatimModuleSyntax":true}}`,
		Plugins:           []api.Plugin{fromFS(fsys)},
		LogLevel:          api.LogLevelSilent,
	}
}

func run(opts api.BuildOptions) ([]api.OutputFile, error) {
	result := api.Build(opts)
	if len(result.Errors) == 0 {
		return result.OutputFiles, nil
	}
	var errs []error
	for _, m := range result.Errors {
		at := ""
		if m.Location != nil {
			at = fmt.Sprintf("%s/%s:%d:%d: ", shown, strings.TrimPrefix(m.Location.File, space+":"), m.Location.Line, m.Location.Column+1)
		}
		errs = append(errs, errors.New(at+m.Text))
	}
	return nil, fmt.Errorf("bundling scripts and styles: %w", errors.Join(errs...))
}

// fromFS lets esbuild read sources from fsys only.
func fromFS(fsys fs.FS) api.Plugin {
	loaders := map[string]api.Loader{
		".ts": api.LoaderTS, ".js": api.LoaderJS, ".mjs": api.LoaderJS, ".css": api.LoaderCSS,
		".svg": api.LoaderFile, ".json": api.LoaderJSON,
	}
	return api.Plugin{Name: "embedded", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: ".*"}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			name := ""
			switch {
			case args.Kind == api.ResolveEntryPoint:
				name = args.Path
			case strings.HasPrefix(args.Path, "data:"), strings.HasPrefix(args.Path, "#"):
				return api.OnResolveResult{Path: args.Path, External: true}, nil
			case strings.HasPrefix(args.Path, "."):
				name = path.Join(path.Dir(args.Importer), args.Path)
			default:
				name = vendorFile(args.Path)
			}
			for _, try := range []string{name, name + ".ts", strings.TrimSuffix(name, ".js") + ".ts"} {
				if info, err := fs.Stat(fsys, try); err == nil && info.Mode().IsRegular() {
					return api.OnResolveResult{Path: try, Namespace: space}, nil
				}
			}
			return api.OnResolveResult{}, fmt.Errorf("%q is not among the site's assets (run `make assets` for what comes from npm)", args.Path)
		})
		b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: space}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
			data, err := fs.ReadFile(fsys, args.Path)
			if err != nil {
				return api.OnLoadResult{}, err
			}
			contents, loader := string(data), loaders[path.Ext(args.Path)]
			if args.With["type"] == "text" { // the style of what a script shows
				small := api.Transform(contents, api.TransformOptions{Loader: loader, MinifyWhitespace: true, MinifySyntax: true, Charset: api.CharsetUTF8})
				if len(small.Errors) > 0 {
					return api.OnLoadResult{Errors: small.Errors}, nil
				}
				contents, loader = string(small.Code), api.LoaderText
			}
			return api.OnLoadResult{Contents: &contents, Loader: loader}, nil
		})
	}}
}

// vendorFile maps a package's name to its file.
func vendorFile(spec string) string {
	base := path.Base(spec)
	if path.Ext(base) == "" {
		base += ".mjs"
	}
	return Vendor + "/" + base
}
