// Package bundle compiles the site's TypeScript and CSS into minified bundles, with the Go API of esbuild.
//
// # Sources
//
// All sources are in one folder. A relative import is resolved from the importing file; its extension may be .ts, .js (which
// also finds a .ts file) or missing. Any other import names an npm package. Its file is in the folder vendor, under the last
// part of the package's name: @xterm/xterm is vendor/xterm.mjs, @xterm/xterm/css/xterm.css is vendor/xterm.css.
// An import with { type: "text" } yields the minified file as a string.
//
// # Output
//
// Files are named assets/<name>-<hash>.<ext>. The hash depends on the content, so browsers may cache a file forever. Dynamic
// imports become separate chunks, and images that a style sheet references become separate files. Builds are reproducible:
// the same sources give the same bytes.
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

// Vendor is the folder with files from npm packages.
const Vendor = "vendor"

// space is the esbuild namespace of the sources. Error messages show their folder as shown.
const (
	space = "assets"
	shown = "site/assets"
)

// Bundle is the output of a build.
type Bundle struct {
	CSS, JS []File // one for each entry point
	Parts   []File // chunks for dynamic imports and shared code
	others  []File // images and fonts
}

// All returns all files of a bundle.
func (b Bundle) All() []File { return slices.Concat(b.CSS, b.JS, b.Parts, b.others) }

// File is one file of a bundle.
type File struct {
	Path      string // "assets/site-ABCDEFGH.css"
	Integrity string // value of the integrity attribute, for subresource integrity
	Data      []byte
}

// Build bundles the entry points, which are files in fsys.
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

// Script bundles one script into a single file without a hash in its name, such as a service worker. define gives the values of
// global constants that the script uses, as JSON.
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

// fromFS is an esbuild plugin that resolves and loads all files from fsys, and nothing else.
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
			return api.OnResolveResult{}, fmt.Errorf("%q is not among the site's assets (run `make assets` to install npm packages)", args.Path)
		})
		b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: space}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
			data, err := fs.ReadFile(fsys, args.Path)
			if err != nil {
				return api.OnLoadResult{}, err
			}
			contents, loader := string(data), loaders[path.Ext(args.Path)]
			if args.With["type"] == "text" { // for example the CSS of a web component
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

// vendorFile returns the file of an npm package.
func vendorFile(spec string) string {
	base := path.Base(spec)
	if path.Ext(base) == "" {
		base += ".mjs"
	}
	return Vendor + "/" + base
}
