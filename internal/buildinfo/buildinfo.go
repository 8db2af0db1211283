// Package buildinfo says which build a program is.
package buildinfo

import "runtime/debug"

// version is set at build time: -ldflags "-X cellblock/internal/buildinfo.version=…".
var version = ""

// Version is the version given at build time, else what Go noted itself.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
