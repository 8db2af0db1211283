package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cellblock/test/kubernetes/controlplane"
	"cellblock/test/stack"
)

const (
	helm = "../../.cache/helm/helm"
	// stepBound is the timeout for a step of a test, such as the installation of the chart.
	stepBound = 2 * time.Minute
)

// cluster is the control plane of all tests. Each has a namespace of its own.
var (
	cluster *controlplane.ControlPlane
	chart   string
	// helmHome has Helm's caches.
	helmHome string
)

func TestMain(m *testing.M) { stack.Main(m, "kubernetes", run) }

func run(m *testing.M) (code int, err error) {
	if err := stack.AdoptOrphans(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "cellblock-kubernetes-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if chart, err = filepath.Abs("../../deploy/helm/cellblock"); err != nil {
		return 1, err
	}
	helmHome = filepath.Join(dir, "helm")
	tools, err := controlplane.FindTools()
	if err != nil {
		return 1, err
	}
	if _, err := os.Stat(helm); err != nil {
		return 1, fmt.Errorf("%w: make test-kubernetes builds it", err)
	}
	ctx := context.Background()
	if cluster, err = controlplane.Start(ctx, tools, dir); err != nil {
		return 1, err
	}
	defer func() {
		err = errors.Join(err, cluster.Stop())
		for _, survivor := range stack.Survivors(time.Second) {
			err = errors.Join(err, errors.New("still runs: "+survivor))
		}
	}()
	if err := errors.Join(cluster.Define(ctx), prepare(ctx)); err != nil {
		return 1, err
	}
	if code = m.Run(); code != 0 {
		err = errors.New(cluster.Logs())
	}
	return code, err
}

// prepare creates what the chart's values name and the chart does not make, for all namespaces.
func prepare(ctx context.Context) error {
	for _, manifest := range []string{
		`{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: batch}, value: 1000}`,
		`{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: services}, value: 2000}`,
		`{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: gvisor}, handler: runsc}`,
	} {
		if _, err := cluster.Client.Apply(ctx, "", manifest); err != nil {
			return err
		}
	}
	return nil
}
