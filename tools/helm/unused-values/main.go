// Command unused-values prints the values of a chart that nothing uses: those whose change changes no rendering, neither
// with the defaults nor with one of the files of values. It exits with 1 if there are any.
//
//	unused-values CHART VALUES...
package main

import (
	"fmt"
	"log"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("usage: unused-values CHART VALUES...")
	}
	unused, err := find(os.Args[1], os.Args[2:])
	if err != nil {
		log.Fatalf("unused-values: %v", err)
	}
	for _, path := range unused {
		fmt.Println(path)
	}
	if len(unused) > 0 {
		os.Exit(1)
	}
}

// find returns the paths of the unused values.
func find(dir string, files []string) ([]string, error) {
	loaded, err := loader.LoadDir(dir)
	if err != nil {
		return nil, err
	}
	paths := leaves("", loaded.Values)
	for _, file := range files {
		values, err := chartutil.ReadValuesFile(file)
		if err != nil {
			return nil, err
		}
		base, err := render(loaded, values, "", nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		paths = slices.DeleteFunc(paths, func(path string) bool {
			other, err := render(loaded, values, path, change)
			return err != nil || other != base // it is refused, or shows
		})
	}
	return paths, nil
}

// leaves returns the paths, with dots, of all values that are no map, or an empty one.
func leaves(prefix string, values map[string]any) []string {
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if inner, ok := values[name].(map[string]any); ok && len(inner) > 0 {
			paths = append(paths, leaves(prefix+name+".", inner)...)
		} else {
			paths = append(paths, prefix+name)
		}
	}
	return paths
}

// change returns another value of the same kind.
func change(value any) any {
	switch value := value.(type) {
	case bool:
		return !value
	case string:
		return value + "x"
	case float64:
		return value + 1
	case []any:
		return append(slices.Clone(value), map[string]any{"name": "X"})
	case map[string]any:
		// Also where only certain keys are looked at: limits, and a pool.
		changed := maps.Clone(value)
		changed["wallSeconds"], changed["slots"] = 17.0, 17.0
		return changed
	default: // null
		return 1000.0
	}
}

// secrets are values that are made anew for each rendering.
var secrets = regexp.MustCompile(`(?m)^  (token|callback-secret|password): .*$`)

// render returns all objects, after the change of the value at a path.
func render(loaded *chart.Chart, own map[string]any, path string, change func(any) any) (string, error) {
	values, err := chartutil.CoalesceValues(loaded, own)
	if err != nil {
		return "", err
	}
	if path != "" {
		names := strings.Split(path, ".")
		last := len(names) - 1
		at := map[string]any(values)
		for _, name := range names[:last] {
			inner, ok := at[name].(map[string]any)
			if !ok {
				return "", nil
			}
			at = inner
		}
		at[names[last]] = change(at[names[last]])
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	top := chartutil.Values{
		"Chart": loaded.Metadata, "Capabilities": capabilities, "Values": map[string]any(values),
		"Release": map[string]any{"Name": "x", "Namespace": "n", "Service": "Helm", "IsInstall": true, "Revision": 1},
	}
	rendered, err := engine.Render(loaded, top)
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		all.WriteString(rendered[name])
	}
	return secrets.ReplaceAllString(all.String(), ""), nil
}
