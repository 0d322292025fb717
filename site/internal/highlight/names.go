package highlight

import "strings"

// Language returns the name by which the functions here know the language that an author named.
// Names are read in any case. What follows a comma is for other programs: Rust's books write
// "rust,ignore". Unknown names are returned in lower case.
//
// Names such as "terminal" say that the code is a session only if a line of it has a prompt;
// otherwise it is commands.
func Language(name string, code []byte) string {
	name = strings.ToLower(name)
	if before, _, ok := strings.Cut(name, ","); ok && before != "" {
		name = before
	}
	switch name {
	case "bash-session", "cli", "command-line", "commandline", "session", "sh-session", "shell-session", "shellsession",
		"terminal", "zsh-session":
		if hasPrompt(code) {
			return "console"
		}
		return "bash"
	case "ascii", "log", "logs", "no-highlight", "nohighlight", "none", "plain-text", "raw", "text-only", "tree":
		return "text"
	case "bun", "deno", "mongo", "mongodb", "node", "nodejs":
		return "javascript"
	case "cfg", "conf", "config", "dotenv":
		return "ini"
	case "cuda":
		return "c++"
	case "curl":
		return "bash"
	case "delphi", "pascal":
		return "objectpascal"
	case "docker-compose", "helm":
		return "yaml"
	case "ejs", "jsp":
		return "html"
	case "f#":
		return "fsharp"
	case "hive", "hiveql", "psql":
		return "sql"
	case "ipython", "pycon":
		return "python"
	case "irb":
		return "ruby"
	case "j2", "jinja2":
		return "jinja"
	case "json-with-comments", "jsonlines", "ndjson":
		return "json"
	case "less":
		return "scss"
	case "mdx":
		return "markdown"
	case "nginxconf":
		return "nginx"
	case "svg+xml":
		return "xml"
	case "ts-node":
		return "typescript"
	}
	return name
}

// hasPrompt reports whether a line of code begins with the prompt of a session.
func hasPrompt(code []byte) bool {
	for line := range strings.Lines(string(code)) {
		if strings.HasPrefix(line, "$ ") {
			return true
		}
	}
	return false
}

// lexerName is chroma's name of a language where ours differs.
func lexerName(lang string) string {
	switch lang {
	case "console":
		return "bash"
	case "text", "txt", "plain", "output":
		return "plaintext"
	case "compose":
		return "yaml"
	}
	return lang
}
