package static

import (
	"path"
	"strings"
)

// unknownType is the media type of files that mediaTypeOf does not know. Browsers download them.
const unknownType = "application/octet-stream"

// mediaType is what a file's extension says about how to send the file.
type mediaType struct {
	contentType string
	compress    bool // text, or data that is not compressed already
}

// mediaTypeOf is the only table of media types by extension. Package mime is not used: it also
// reads the tables of the machine, such as /etc/mime.types, so the same site would be served
// differently by two machines.
func mediaTypeOf(ext string) mediaType {
	switch ext {
	case ".html", ".htm":
		return mediaType{"text/html; charset=utf-8", true}
	case ".css":
		return mediaType{"text/css; charset=utf-8", true}
	case ".js", ".mjs":
		return mediaType{"text/javascript; charset=utf-8", true}
	case ".json", ".map":
		return mediaType{"application/json", true}
	case ".webmanifest":
		return mediaType{"application/manifest+json", true}
	case ".xml":
		return mediaType{"application/xml; charset=utf-8", true}
	case ".csv":
		return mediaType{"text/csv; charset=utf-8", true}
	case ".vtt":
		return mediaType{"text/vtt; charset=utf-8", true}
	case ".ics":
		return mediaType{"text/calendar; charset=utf-8", true}
	case ".svg":
		return mediaType{"image/svg+xml", true}
	case ".wasm":
		return mediaType{"application/wasm", true}
	// Source code and configuration is shown by the browser, not downloaded and never run.
	case ".txt", ".md", ".log", ".diff", ".patch", ".tsv",
		".yml", ".yaml", ".toml", ".ini", ".conf", ".cfg", ".env", ".properties", ".tf", ".hcl", ".sql",
		".sh", ".bash", ".zsh", ".ps1", ".bat", ".py", ".rb", ".pl", ".php", ".lua", ".r",
		".go", ".rs", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".java", ".kt", ".swift", ".scala", ".ts", ".tsx", ".jsx", ".vue":
		return mediaType{"text/plain; charset=utf-8", true}

	case ".png", ".apng":
		return mediaType{"image/png", false}
	case ".jpg", ".jpeg":
		return mediaType{"image/jpeg", false}
	case ".gif":
		return mediaType{"image/gif", false}
	case ".webp":
		return mediaType{"image/webp", false}
	case ".avif":
		return mediaType{"image/avif", false}
	case ".bmp":
		return mediaType{"image/bmp", true}
	case ".ico":
		return mediaType{"image/vnd.microsoft.icon", false}
	case ".woff":
		return mediaType{"font/woff", false}
	case ".woff2":
		return mediaType{"font/woff2", false}
	case ".ttf":
		return mediaType{"font/ttf", true}
	case ".otf":
		return mediaType{"font/otf", true}

	case ".mp3":
		return mediaType{"audio/mpeg", false}
	case ".m4a":
		return mediaType{"audio/mp4", false}
	case ".ogg", ".oga", ".opus":
		return mediaType{"audio/ogg", false}
	case ".wav":
		return mediaType{"audio/wav", false}
	case ".flac":
		return mediaType{"audio/flac", false}
	case ".mp4", ".m4v":
		return mediaType{"video/mp4", false}
	case ".webm":
		return mediaType{"video/webm", false}
	case ".ogv":
		return mediaType{"video/ogg", false}
	case ".mov":
		return mediaType{"video/quicktime", false}

	case ".pdf":
		return mediaType{"application/pdf", false}
	case ".epub":
		return mediaType{"application/epub+zip", false}
	case ".zip":
		return mediaType{"application/zip", false}
	case ".gz", ".tgz":
		return mediaType{"application/gzip", false}
	case ".tar":
		return mediaType{"application/x-tar", false}
	case ".docx":
		return mediaType{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", false}
	case ".xlsx":
		return mediaType{"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", false}
	case ".pptx":
		return mediaType{"application/vnd.openxmlformats-officedocument.presentationml.presentation", false}
	case ".odt":
		return mediaType{"application/vnd.oasis.opendocument.text", false}
	}
	return mediaType{unknownType, false}
}

// ContentType returns the Content-Type header for a file by its name. It is the same on every
// machine.
func ContentType(name string) string {
	m := mediaTypeOf(strings.ToLower(path.Ext(name)))
	return m.contentType
}

// compressible reports whether a file is sent compressed.
func compressible(name string) bool {
	m := mediaTypeOf(strings.ToLower(path.Ext(name)))
	return m.compress
}
