// Package cellblock embeds the files at the root of the repository that the programs need.
package cellblock

import _ "embed"

// NsjailConfig is nsjail.cfg: the configuration of the cold sandbox, with the default limits.
//
//go:embed nsjail.cfg
var NsjailConfig string
