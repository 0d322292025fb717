package setup

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"labd/internal/source"
)

func TestMergeRuntime(t *testing.T) {
	const path = "/usr/local/bin/runsc"
	for _, tt := range []struct{ name, old, want string }{
		{"NoFileYet", "", `{
  "runtimes": {
    "runsc": {
      "path": "/usr/local/bin/runsc",
      "runtimeArgs": [
        "--net-raw",
        "--overlay2=none"
      ]
    }
  }
}
`},
		{"KeepsOtherKeysTheirOrderAndTheIndentation", `{
    "log-driver": "journald",
    "registry-mirrors": ["https://mirror.example"],
    "default-address-pools": [{"base": "10.10.0.0/16", "size": 24}],
    "debug": false
}`, `{
    "log-driver": "journald",
    "registry-mirrors": [
        "https://mirror.example"
    ],
    "default-address-pools": [
        {
            "base": "10.10.0.0/16",
            "size": 24
        }
    ],
    "debug": false,
    "runtimes": {
        "runsc": {
            "path": "/usr/local/bin/runsc",
            "runtimeArgs": [
                "--net-raw",
                "--overlay2=none"
            ]
        }
    }
}
`},
		{"KeepsOtherRuntimesAndBigNumbers", "{\n\t\"runtimes\": {\"nvidia\": {\"path\": \"nvidia-container-runtime\"}},\n\t\"x\": 12345678901234567890\n}\n",
			"{\n\t\"runtimes\": {\n\t\t\"nvidia\": {\n\t\t\t\"path\": \"nvidia-container-runtime\"\n\t\t},\n\t\t\"runsc\": {\n\t\t\t\"path\": \"/usr/local/bin/runsc\",\n" +
				"\t\t\t\"runtimeArgs\": [\n\t\t\t\t\"--net-raw\",\n\t\t\t\t\"--overlay2=none\"\n\t\t\t]\n\t\t}\n\t},\n\t\"x\": 12345678901234567890\n}\n"},
		{"KeepsTheOperatorsOtherArguments", `{"runtimes": {"runsc": {"path": "/opt/runsc", "runtimeArgs": ["--debug", "--overlay2=root:self"], "options": {"a": 1}}}}`, `{
  "runtimes": {
    "runsc": {
      "path": "/usr/local/bin/runsc",
      "runtimeArgs": [
        "--debug",
        "--net-raw",
        "--overlay2=none"
      ],
      "options": {
        "a": 1
      }
    }
  }
}
`},
		{"EmptyFile", " \n", "{\n  \"runtimes\": {\n    \"runsc\": {\n      \"path\": \"/usr/local/bin/runsc\",\n      \"runtimeArgs\": [\n        \"--net-raw\",\n        \"--overlay2=none\"\n      ]\n    }\n  }\n}\n"},
		{"NullRuntimes", `{"runtimes": null}`, "{\n  \"runtimes\": {\n    \"runsc\": {\n      \"path\": \"/usr/local/bin/runsc\",\n      \"runtimeArgs\": [\n        \"--net-raw\",\n        \"--overlay2=none\"\n      ]\n    }\n  }\n}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, changed, err := mergeRuntime("daemon.json", []byte(tt.old), path)
			if err != nil || !changed {
				t.Fatalf("changed %v, error %v", changed, err)
			}
			if string(got) != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			again, changed, err := mergeRuntime("daemon.json", got, path)
			if err != nil || changed || string(again) != string(got) {
				t.Errorf("a second merge changed it (%v, %v):\n%s", changed, err, again)
			}
		})
	}
}

func TestMergeRuntimeRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for _, tt := range []struct{ name, old, want string }{
		{"BrokenJSON", "{\n  \"debug\": true,\n  \"log-driver\": journald\n}\n", `daemon.json:3: invalid character 'j'`},
		{"TrailingComma", "{\n  \"debug\": true,\n}\n", "daemon.json:3:"},
		{"Truncated", "{\n  \"debug\": true", "unexpected end of JSON input"},
		{"NotAnObject", `["runsc"]`, "an object { } is expected"},
		{"RuntimesIsAList", `{"runtimes": ["runsc"]}`, `key "runtimes": daemon.json: an object { } is expected`},
		{"RuntimeIsAString", `{"runtimes": {"runsc": "/usr/bin/runsc"}}`, `key "runsc": daemon.json: an object { } is expected`},
		{"PathIsANumber", `{"runtimes": {"runsc": {"path": 7}}}`, "runtimes.runsc.path is not a string"},
		{"ArgumentsAreAString", `{"runtimes": {"runsc": {"runtimeArgs": "--net-raw"}}}`, "runtimes.runsc.runtimeArgs is not a list of strings"},
		{"TwoDocuments", `{} {}`, "invalid character '{' after top-level value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := mergeRuntime("daemon.json", []byte(tt.old), "/usr/local/bin/runsc")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want it to contain %q", err, tt.want)
			}
		})
	}
}

func TestMergeRuntimeShowsTheBrokenLine(t *testing.T) {
	_, _, err := mergeRuntime("/etc/docker/daemon.json", []byte("{\n  \"debug\": yes\n}\n"), "/usr/local/bin/runsc")
	var at *source.Error
	if !errors.As(err, &at) || at.Line != 2 || at.Text != `  "debug": yes` {
		t.Errorf("got %+v (%v), want line 2 with its text", at, err)
	}
}

// FuzzMergeRuntime holds the merge to its promise: whatever the file says, every other key stays as it was.
func FuzzMergeRuntime(f *testing.F) {
	f.Add(`{"a": 1, "runtimes": {"b": {}}}`)
	f.Add(`{"runtimes": {"runsc": {"path": "x", "runtimeArgs": ["--overlay2=all:memory"]}}, "\u00e9": "\ud83d\ude00"}`)
	f.Add(`{"a": 1, "a": 2}`)
	f.Fuzz(func(t *testing.T, old string) {
		merged, _, err := mergeRuntime("daemon.json", []byte(old), "/usr/local/bin/runsc")
		if err != nil {
			return
		}
		var before, after map[string]any
		if strings.TrimSpace(old) != "" {
			if err := json.Unmarshal([]byte(old), &before); err != nil {
				t.Fatalf("took invalid JSON: %v", err)
			}
		}
		if err := json.Unmarshal(merged, &after); err != nil {
			t.Fatalf("wrote invalid JSON: %v\n%s", err, merged)
		}
		delete(before, "runtimes")
		delete(after, "runtimes")
		if len(before)+len(after) > 0 && !reflect.DeepEqual(before, after) {
			t.Errorf("other keys changed:\n%v\n%v", before, after)
		}
		again, changed, err := mergeRuntime("daemon.json", merged, "/usr/local/bin/runsc")
		if err != nil || changed {
			t.Errorf("a second merge is not empty (%v): %s", err, again)
		}
	})
}

func TestWriteRuntime(t *testing.T) {
	t.Run("MakesFileAndDirectory", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "docker", "daemon.json")
		changed, err := writeRuntime(file, "/usr/local/bin/runsc")
		if err != nil || !changed {
			t.Fatalf("changed %v, error %v", changed, err)
		}
		if _, err := os.Stat(file + backupSuffix); !os.IsNotExist(err) {
			t.Errorf("a backup of nothing was made (%v)", err)
		}
		if changed, err := writeRuntime(file, "/usr/local/bin/runsc"); err != nil || changed {
			t.Errorf("second time: changed %v, error %v", changed, err)
		}
	})
	t.Run("BacksUpOnceAndKeepsTheMode", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "daemon.json")
		const first = `{"debug": true}`
		write(t, file, first, 0o600)
		if _, err := writeRuntime(file, "/a/runsc"); err != nil {
			t.Fatal(err)
		}
		if _, err := writeRuntime(file, "/b/runsc"); err != nil {
			t.Fatal(err)
		}
		if got := read(t, file+backupSuffix); got != first {
			t.Errorf("the backup is %q, want the file from before labd", got)
		}
		if got := read(t, file); !strings.Contains(got, "/b/runsc") {
			t.Errorf("the file is %s", got)
		}
		fi, err := os.Stat(file)
		if err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("mode %v (%v), want 0600", fi.Mode(), err)
		}
	})
	t.Run("KeepsASymbolicLink", func(t *testing.T) {
		dir := t.TempDir()
		target, link := filepath.Join(dir, "managed.json"), filepath.Join(dir, "daemon.json")
		write(t, target, `{"debug": true}`, 0o644)
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if _, err := writeRuntime(link, "/a/runsc"); err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Lstat(link); err != nil || fi.Mode()&os.ModeSymlink == 0 {
			t.Errorf("the link became %v (%v)", fi.Mode(), err)
		}
		if !strings.Contains(read(t, target), "runsc") {
			t.Error("the file behind the link was not changed")
		}
	})
	t.Run("LeavesBrokenFilesAlone", func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "daemon.json")
		write(t, file, `{"debug": }`, 0o644)
		if _, err := writeRuntime(file, "/a/runsc"); err == nil {
			t.Fatal("no error")
		}
		if got := read(t, file); got != `{"debug": }` {
			t.Errorf("the file became %q", got)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("left behind: %v (%v)", entries, err)
		}
	})
}

func write(t *testing.T, path, data string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), mode); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
