package datascience

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"cellblock/test/stack"
)

// service runs during all tests; program is the path of the command line.
var (
	service *stack.Stack
	program string
)

// name is that of the environment under test.
const name = "data-science"

func TestMain(m *testing.M) { stack.Main(m, "datascience", runTests) }

func runTests(m *testing.M) (code int, err error) {
	if err := stack.AdoptOrphans(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "cellblock-datascience-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	programs, err := stack.Build(context.Background(), dir)
	if err != nil {
		return 1, err
	}
	if program, err = stack.BuildCommandLine(context.Background(), dir); err != nil {
		return 1, err
	}
	environment, err := stack.OpenEnvironment(name)
	if err != nil {
		return 1, fmt.Errorf("%w; run `make setup ENVIRONMENTS=\"default %s\"` first", err, name)
	}
	service, err = stack.Start(context.Background(), stack.Config{
		Programs: programs, Workers: []stack.Env{environment.Settings()},
	})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, service.Stop()) }()
	return m.Run(), nil
}
