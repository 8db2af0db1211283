package controlplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Tools is the folder that scripts/kubernetes-tools fills: the programs, and the definitions of other projects'
// resources in crds/.
type Tools string

// FindTools returns the folder that KUBERNETES_TOOLS names.
func FindTools() (Tools, error) {
	dir := os.Getenv("KUBERNETES_TOOLS")
	if dir == "" {
		return "", errors.New("KUBERNETES_TOOLS is empty: run make test-kubernetes, which builds them")
	}
	programs := []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}
	for _, name := range programs {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("KUBERNETES_TOOLS: %w: scripts/kubernetes-tools builds it", err)
		}
	}
	return Tools(dir), nil
}

// Path returns the path of a program.
func (t Tools) Path(name string) string { return filepath.Join(string(t), name) }

// Definitions returns the paths of the CustomResourceDefinitions, in crds/.
func (t Tools) Definitions() ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(string(t), "crds", "*.yaml"))
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("%s/crds is empty: scripts/kubernetes-tools fills it", t)
	}
	return paths, err
}
