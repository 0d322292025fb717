package site

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

//go:embed all:assets
var embeddedAssets embed.FS

// vendored is where what comes from npm lies after `make assets`.
const vendored = "vendor"

// bundle is a set of built files of one kind, as pages refer to them.
type bundle struct {
	CSS, JS []builtFile
	parts   []builtFile // scripts that JS imports only when it needs them
}

// builtFile is one fingerprinted file below assets/.
type builtFile struct {
	Path      string // "assets/site-ABCDEFGH.css"
	Integrity string // for the integrity attribute
	data      []byte
}

// assets are all bundles of a site.
type assets struct {
	theme, site, lab, search, readable bundle
	wide                               bundle            // the site's scripts with the style sheet of pages that are more than text
	lessons                            map[string]bundle // the site's scripts with the style sheet of lessons, by its name
	files                              []builtFile
	icon                               string
	// labMissing says why the lab bundle could not be built; "" if it was.
	labMissing string
}

// buildAssets bundles scripts and styles. fsys is rooted at the assets folder.
func buildAssets(fsys fs.FS) (*assets, error) {
	a := &assets{}
	var err error
	if a.theme, err = a.bundle(fsys, "ts/theme.ts"); err != nil {
		return nil, err
	}
	if a.site, err = a.bundle(fsys, "ts/site.ts", "css/site.css"); err != nil {
		return nil, err
	}
	if a.search, err = a.bundle(fsys, "ts/search.ts"); err != nil {
		return nil, err
	}
	if a.wide, err = a.styled(fsys, "css/wide.css"); err != nil {
		return nil, err
	}
	a.lessons = map[string]bundle{}
	for _, name := range []string{textStyle, diagramStyle, moreStyle} {
		if a.lessons[name], err = a.styled(fsys, name); err != nil {
			return nil, err
		}
	}
	if _, err := fs.Stat(fsys, "ts/readable.ts"); err == nil {
		if a.readable, err = a.bundle(fsys, "ts/readable.ts"); err != nil {
			return nil, err
		}
	}
	a.addIcon(fsys)
	a.labMissing = missingForLab(fsys)
	if a.labMissing == "" {
		if a.lab, err = a.bundle(fsys, "ts/lab.ts", "css/lab.css"); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// What lessons have for a style sheet: each page loads one, with what it needs.
const (
	textStyle    = "css/text.css"
	diagramStyle = "css/text-diagram.css"
	moreStyle    = "css/text-more.css" // quizzes, formulas, and what is folded away
)

// styled is the site's bundle with another style sheet, if there is one.
func (a *assets) styled(fsys fs.FS, style string) (bundle, error) {
	styled := a.site
	if _, err := fs.Stat(fsys, style); err != nil {
		return styled, nil
	}
	b, err := a.bundle(fsys, style)
	styled.CSS = b.CSS
	return styled, err
}

// lesson is the bundle of a lesson with this text.
func (a *assets) lesson(body string) bundle {
	diagrams := strings.Contains(body, `<figure class="diagram"`)
	more := slices.ContainsFunc([]string{"<math", `class="quiz`, `class="tabs"`, `<details`}, func(mark string) bool {
		return strings.Contains(body, mark)
	})
	switch {
	case diagrams && more:
		return a.site
	case diagrams:
		return a.lessons[diagramStyle]
	case more:
		return a.lessons[moreStyle]
	}
	return a.lessons[textStyle]
}

// missingForLab says what the lab bundle lacks. A site without labs, or built where npm never ran, is still a site.
func missingForLab(fsys fs.FS) string {
	for _, name := range []string{"ts/lab.ts", "css/lab.css", vendored + "/xterm.mjs", vendored + "/xterm.css"} {
		if _, err := fs.Stat(fsys, name); err != nil {
			return "site/assets/" + name + " is not there"
		}
	}
	return ""
}

// bundle builds entry points that exist in fsys and adds the results to a.files.
func (a *assets) bundle(fsys fs.FS, entries ...string) (bundle, error) {
	var points []api.EntryPoint
	for _, e := range entries {
		name := strings.TrimSuffix(path.Base(e), path.Ext(e))
		points = append(points, api.EntryPoint{InputPath: e, OutputPath: name})
	}
	result := api.Build(api.BuildOptions{
		EntryPointsAdvanced: points,
		Bundle:              true,
		Write:               false,
		Outdir:              "/out",
		EntryNames:          "[name]-[hash]",
		AssetNames:          "[name]-[hash]",
		ChunkNames:          "[name]-[hash]",
		Splitting:           true, // what a script imports only when it needs it, as the terminal, is a file of its own
		Format:              api.FormatESModule,
		Target:              api.ES2022,
		MinifyWhitespace:    true,
		MinifyIdentifiers:   true,
		MinifySyntax:        true,
		Charset:             api.CharsetUTF8,
		LegalComments:       api.LegalCommentsNone,
		TsconfigRaw:         `{"compilerOptions":{"verbatimModuleSyntax":true}}`,
		Loader:              map[string]api.Loader{".svg": api.LoaderFile, ".woff2": api.LoaderFile},
		Plugins:             []api.Plugin{fromFS(fsys)},
		LogLevel:            api.LogLevelSilent,
	})
	if len(result.Errors) > 0 {
		var errs []error
		for _, m := range result.Errors {
			at := ""
			if m.Location != nil {
				at = fmt.Sprintf("site/assets/%s:%d:%d: ", strings.TrimPrefix(m.Location.File, space+":"), m.Location.Line, m.Location.Column+1)
			}
			errs = append(errs, errors.New(at+m.Text))
		}
		return bundle{}, fmt.Errorf("bundling scripts and styles: %w", errors.Join(errs...))
	}
	isEntry := func(file string) bool {
		for _, p := range points {
			if strings.HasPrefix(file, p.OutputPath+"-") {
				return true
			}
		}
		return false
	}
	var b bundle
	for _, f := range result.OutputFiles {
		sum := sha256.Sum256(f.Contents)
		built := builtFile{
			Path:      "assets/" + path.Base(strings.ReplaceAll(f.Path, `\`, "/")),
			Integrity: "sha256-" + base64.StdEncoding.EncodeToString(sum[:]),
			data:      f.Contents,
		}
		switch path.Ext(built.Path) {
		case ".css":
			b.CSS = append(b.CSS, built)
		case ".js":
			if isEntry(path.Base(built.Path)) {
				b.JS = append(b.JS, built)
			} else {
				b.parts = append(b.parts, built)
			}
		}
		a.files = append(a.files, built)
	}
	return b, nil
}

// space is the namespace of esbuild in which the assets are.
const space = "assets"

// fromFS lets esbuild read a bundle's sources from fsys, and the packages that they import from the vendor folder.
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

// vendorFile maps a package's name to its file: @xterm/xterm, @xterm/addon-fit, @xterm/xterm/css/xterm.css.
func vendorFile(spec string) string {
	base := path.Base(spec)
	if path.Ext(base) == "" {
		base += ".mjs"
	}
	return vendored + "/" + base
}
