package seed

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

type entry struct {
	name string
	kind byte
	text string
}

func tarOf(t *testing.T, entries ...entry) *bytes.Buffer {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Mode: 0o755}
		if e.kind == tar.TypeReg {
			h.Size = int64(len(e.text))
		} else {
			h.Linkname = e.text
		}
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if e.kind == tar.TypeReg {
			if _, err := io.WriteString(tw, e.text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return &buf
}

// listing maps names to contents or link targets.
func listing(t *testing.T, r io.Reader) map[string]string {
	t.Helper()
	m := map[string]string{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return m
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := m[h.Name]; ok {
			t.Errorf("%s is there twice", h.Name)
		}
		m[h.Name] = string(data) + h.Linkname
	}
}

func TestCleanTarDropsDevicesAndWhatBelongsToTheMachine(t *testing.T) {
	in := tarOf(t,
		entry{"./", tar.TypeDir, ""}, entry{"./usr/", tar.TypeDir, ""}, entry{"./var/", tar.TypeDir, ""},
		entry{"./etc/", tar.TypeDir, ""}, entry{"./dev/", tar.TypeDir, ""},
		entry{"./dev/null", tar.TypeChar, ""}, entry{"./usr/odd", tar.TypeBlock, ""},
		entry{"./etc/resolv.conf", tar.TypeReg, "nameserver 192.0.2.1\n"},
		entry{"./etc/hostname", tar.TypeReg, "builder\n"},
		entry{"./etc/motd", tar.TypeReg, "old"},
		entry{"./var/log/dpkg.log", tar.TypeReg, "x"},
		entry{"./usr/share/doc/bash/copyright", tar.TypeReg, "GPL"},
		entry{"./usr/share/doc/bash/NEWS", tar.TypeReg, "x"},
		entry{"./usr/a", tar.TypeReg, "data"}, entry{"./usr/b", tar.TypeLink, "./usr/a"},
		entry{"./bin", tar.TypeSymlink, "usr/bin"},
	)
	var out bytes.Buffer
	if err := cleanTar(in, &out, []tarFile{{"etc/motd", 0o644, []byte("new")}, {"opt/x/y", 0o755, []byte("added")}}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"usr/": "", "var/": "", "etc/": "", "dev/": "", "usr/share/doc/bash/copyright": "GPL", "usr/a": "data", "usr/b": "usr/a",
		"bin": "usr/bin", "etc/motd": "new", "opt/": "", "opt/x/": "", "opt/x/y": "added",
	}
	got := listing(t, &out)
	for name, text := range want {
		if v, ok := got[name]; !ok || v != text {
			t.Errorf("%s: got %q (there: %t), want %q", name, v, ok, text)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%s should not be there", name)
	}
}

func TestCleanTarRefusesAnIncompleteRoot(t *testing.T) {
	if err := cleanTar(tarOf(t, entry{"usr/", tar.TypeDir, ""}), io.Discard, nil); err == nil {
		t.Error("a root without /var was accepted")
	}
	whole := tarOf(t, entry{"usr/", tar.TypeDir, ""}, entry{"var/", tar.TypeDir, ""}, entry{"usr/a", tar.TypeReg, strings.Repeat("x", 4000)}).Bytes()
	if err := cleanTar(bytes.NewReader(whole[:3000]), io.Discard, nil); err == nil {
		t.Error("a stream that was cut off was accepted")
	}
}

func TestStripTarMakesNamesRelative(t *testing.T) {
	var out bytes.Buffer
	in := tarOf(t, entry{"out/", tar.TypeDir, ""}, entry{"out/bin/", tar.TypeDir, ""}, entry{"out/bin/a", tar.TypeReg, "x"}, entry{"out/bin/b", tar.TypeLink, "out/bin/a"})
	if err := stripTar(in, &out, "out/"); err != nil {
		t.Fatal(err)
	}
	got := listing(t, &out)
	if len(got) != 3 || got["bin/a"] != "x" || got["bin/b"] != "bin/a" {
		t.Errorf("got %v", got)
	}
}

func TestQuoteLineKeepsAnyValue(t *testing.T) {
	if got, want := quoteLine(`a=say "x" for $1 \ `+"\n"), `a="say \"x\" for \$1 \\  "`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLineWriterBoundsWhatItKeeps(t *testing.T) {
	var lines []string
	w := &lineWriter{log: func(s string) { lines = append(lines, s) }}
	for range 1000 {
		if _, err := w.Write([]byte("some line\r\nand ")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write([]byte("the end")); err != nil {
		t.Fatal(err)
	}
	w.flush()
	if len(lines) != 1001 || lines[0] != "some line" || lines[1] != "and some line" || lines[1000] != "and the end" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
	if len(w.last) > 2*outputTail || !strings.HasSuffix(w.tail(), "the end") {
		t.Errorf("kept %d bytes", len(w.last))
	}
	_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20))
	if len(w.line) > outputTail || len(w.last) > 2*outputTail {
		t.Errorf("an endless line makes it keep %d and %d bytes", len(w.line), len(w.last))
	}
}
