package zygote

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Settings configure the zygotes, from which warm sandboxes are forked.
type Settings struct {
	Preload         []string `name:"preload" env:"PRELOAD" default:"numpy,pandas" help:"Packages that zygotes have loaded, comma-separated; empty for none. Scripts that name none of them get a plain interpreter, and those that name only the first one an interpreter with that one."`
	PreloadOnDemand []string `name:"preload-on-demand" env:"PRELOAD_ON_DEMAND" default:"matplotlib" help:"More packages, comma-separated, for a separate zygote that also has those of PRELOAD. It is started when the first script names one of them, or before that once no job has run for ten seconds and the machine has twice ZYGOTE_MEMORY_MB available; empty for none."`
	Jobs            int64    `name:"zygote-jobs" env:"ZYGOTE_JOBS" default:"5000" help:"Sandboxes that are forked from a zygote before its successor is started (at least 1), since all of them share its address layout. It serves until the successor is ready, for at most twice as many."`
	// OnDemandIdle is how long no job must have run before the zygote of PreloadOnDemand starts by itself; 0 means ten
	// seconds.
	OnDemandIdle time.Duration `kong:"-"`
	// Metrics counts what zygotes do; nil counts nothing.
	Metrics  Metrics `kong:"-"`
	MemoryMB int64   `name:"zygote-memory-mb" env:"ZYGOTE_MEMORY_MB" default:"512" help:"Memory of a zygote, in MiB; one that needs more is ended and replaced."`
}

// minMemoryMB is the memory that an interpreter without packages needs, in MiB.
const minMemoryMB = 32

// Validate returns an error for settings under which no zygote could serve.
func (s Settings) Validate() error {
	var errs []error
	if s.Jobs < 1 {
		errs = append(errs, fmt.Errorf("ZYGOTE_JOBS is %d, at least 1 is needed", s.Jobs))
	}
	if s.MemoryMB < minMemoryMB {
		errs = append(errs, fmt.Errorf("ZYGOTE_MEMORY_MB is %d, at least %d is needed", s.MemoryMB, minMemoryMB))
	}
	return errors.Join(errs...)
}

// packages returns the packages to preload.
func (s Settings) packages() []string { return withoutEmpty(s.Preload) }

// onDemand returns the further packages of the zygote that starts on demand.
func (s Settings) onDemand() []string { return withoutEmpty(s.PreloadOnDemand) }

// Packages returns the packages of all zygotes.
func (s Settings) Packages() []string { return slices.Concat(s.packages(), s.onDemand()) }

// withoutEmpty drops the empty names that an empty setting leaves.
func withoutEmpty(list []string) []string {
	var names []string
	for _, name := range list {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// WithoutMissing returns the settings without the packages that python lacks, and for each a sentence that names the
// remedy.
func (s Settings) WithoutMissing(missing []string, python string) (_ Settings, sentences []string) {
	drop := func(setting string, names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			if !slices.Contains(missing, name) {
				return false
			}
			sentences = append(sentences,
				fmt.Sprintf("%s names %q, which is not installed in the sandbox's Python (%s); "+
					"add it to environments/default/requirements.in and run `make lock setup`, or take it out of %s",
					setting, name, python, setting))
			return true
		})
	}
	s.Preload = drop("PRELOAD", s.packages())
	s.PreloadOnDemand = drop("PRELOAD_ON_DEMAND", s.onDemand())
	return s, sentences
}
