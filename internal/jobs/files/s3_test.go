package files

import (
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// s3Server returns the path of a real S3 server, which it builds if needed.
func s3Server(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a server")
	}
	path, err := exec.CommandContext(t.Context(), "go", "-C", "../../../tools/s3", "tool", "-n",
		"github.com/versity/versitygw/cmd/versitygw").Output()
	if err != nil {
		t.Fatalf("build the S3 server: %v", err)
	}
	return strings.TrimSpace(string(path))
}

// TestS3 runs testStore against a real S3 server (versitygw, pinned in tools/s3) on this machine.
func TestS3(t *testing.T) {
	program := s3Server(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "files"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "cellblock")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret-of-a-test")
	server := exec.CommandContext(t.Context(), program, "--port", addr, "--access", "cellblock", "--secret",
		"secret-of-a-test",
		"posix", "--nometa", dir)
	server.Stdout, server.Stderr = t.Output(), t.Output()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	awaitServer(t, addr)
	store := open(t, fmt.Sprintf("s3://files?region=us-east-1&endpoint=http://%s&use_path_style=true", addr))
	testStore(t, store)
	testUploads(t, store)
	// No part of what broke off is left either.
	var left []string
	err = filepath.WalkDir(filepath.Join(dir, "files"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			left = append(left, path)
		}
		return err
	})
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func awaitServer(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		response, err := http.Get("http://" + addr + "/")
		if err == nil {
			_ = response.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
