// Package buildinfo has the program's version.
package buildinfo

import "runtime/debug"

// version is set at build time: -ldflags "-X cellblock/internal/buildinfo.version=…".
var version = ""

// Version returns the version set at build time, or else the main module's version that Go recorded.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
