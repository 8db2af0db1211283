package zygote

import (
	"slices"
	"testing"

	"cellblock/internal/nsjail/host"
)

// There are enough user ids for MaxReady ready sandboxes and the jobs beside them.
func TestUIDsSufficeForMaxReady(t *testing.T) {
	t.Parallel()
	const pools = 4 // plain, loaded with one package and with all, on demand
	beingMade, inTeardown := pools*maxConcurrentForks, host.MaxTeardowns()+MaxReady
	if needed := (pools+1)*MaxReady + beingMade + inTeardown; needed > host.JobUIDs {
		t.Errorf("%d ready sandboxes need %d ids of %d", MaxReady, needed, host.JobUIDs)
	}
}

// A script gets the smallest zygote that has what it names.
func TestPoolFor(t *testing.T) {
	t.Parallel()
	p := &Provider{plain: &pool{}}
	for _, split := range splitPreload([]string{"numpy", "pandas", "scipy.stats"}) {
		loaded := &pool{poolConfig: poolConfig{kind: kind{packages: split.packages}}}
		p.loaded = append(p.loaded, &loadedPool{loaded, anyOf(split.own)})
	}
	for script, want := range map[string][]string{
		"":                             nil,
		"import numpyro, mypandas":     nil,
		"import numpy as np":           {"numpy"},
		"import pandas":                {"numpy", "pandas", "scipy.stats"},
		"import numpy, pandas":         {"numpy", "pandas", "scipy.stats"},
		"from scipy.stats import norm": {"numpy", "pandas", "scipy.stats"},
	} {
		if got := p.poolFor(script).packages; !slices.Equal(got, want) {
			t.Errorf("%q gets a zygote with %q, want %q", script, got, want)
		}
	}
	if split := splitPreload([]string{"numpy"}); len(split) != 1 || len(splitPreload(nil)) != 0 {
		t.Errorf("one package is split into %v", split)
	}
}
