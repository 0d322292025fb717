package boot

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestSudoRunsTheCommandAsItIs(t *testing.T) {
	script := filepath.Join(t.TempDir(), "sudo")
	if err := os.WriteFile(script, []byte(sudoScript), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ args, want string }{
		{`echo a "b  c"`, "a b  c\n"},
		{`-u nobody -E echo x`, "x\n"},
		{`A=1 sh -c 'echo $A'`, "1\n"},
		{`-- echo -n y`, "y"},
		{`sh -c 'exit 7'; echo $?`, "7\n"},
	} {
		out, err := exec.Command("bash", "-c", script+" "+tt.args).CombinedOutput()
		if err != nil || string(out) != tt.want {
			t.Errorf("sudo %s: %q, %v", tt.args, out, err)
		}
	}
}
