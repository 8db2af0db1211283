package upgrade

import (
	"context"
	"fmt"
	"os"
	"testing"

	"cellblock/test/stack"
)

var (
	// before is the commit of the old version.
	before string
	// environment is the one besides the default that the workers of both versions have.
	environment stack.Environment
)

func TestMain(m *testing.M) { stack.Main(m, "upgrade", run) }

func run(m *testing.M) (code int, err error) {
	if err := stack.AdoptOrphans(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "cellblock-upgrade-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if before, err = buildVersions(context.Background(), dir); err != nil {
		return 1, err
	}
	if environment, err = stack.OpenEnvironment(stack.Handmade); err != nil {
		return 1, err
	}
	code = m.Run()
	fmt.Printf("old is %s\n%s\n", before, markdown())
	if rolled != "" {
		fmt.Println(rolled)
	}
	return code, environment.Close()
}
