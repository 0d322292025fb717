package daemonjson_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/setup/daemonjson"
	"github.com/labd-dev/labd/internal/source"
)

func TestMerge(t *testing.T) {
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
			got, changed, err := daemonjson.Merge("daemon.json", []byte(tt.old), path)
			if err != nil || !changed {
				t.Fatalf("changed %v, error %v", changed, err)
			}
			if string(got) != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			again, changed, err := daemonjson.Merge("daemon.json", got, path)
			if err != nil || changed || string(again) != string(got) {
				t.Errorf("a second merge changed it (%v, %v):\n%s", changed, err, again)
			}
		})
	}
}

func TestMergeRefusesWhatItDoesNotUnderstand(t *testing.T) {
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
			_, _, err := daemonjson.Merge("daemon.json", []byte(tt.old), "/usr/local/bin/runsc")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want it to contain %q", err, tt.want)
			}
		})
	}
}

func TestMergeShowsTheBrokenLine(t *testing.T) {
	_, _, err := daemonjson.Merge("/etc/docker/daemon.json", []byte("{\n  \"debug\": yes\n}\n"), "/usr/local/bin/runsc")
	var at *source.Error
	if !errors.As(err, &at) || at.Line != 2 || at.Text != `  "debug": yes` {
		t.Errorf("got %+v (%v), want line 2 with its text", at, err)
	}
}

// FuzzMerge checks that a merge never changes other keys.
func FuzzMerge(f *testing.F) {
	f.Add(`{"a": 1, "runtimes": {"b": {}}}`)
	f.Add(`{"runtimes": {"runsc": {"path": "x", "runtimeArgs": ["--overlay2=all:memory"]}}, "\u00e9": "\ud83d\ude00"}`)
	f.Add(`{"a": 1, "a": 2}`)
	f.Fuzz(func(t *testing.T, old string) {
		merged, _, err := daemonjson.Merge("daemon.json", []byte(old), "/usr/local/bin/runsc")
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
		again, changed, err := daemonjson.Merge("daemon.json", merged, "/usr/local/bin/runsc")
		if err != nil || changed {
			t.Errorf("a second merge is not empty (%v): %s", err, again)
		}
	})
}
