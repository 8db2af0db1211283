// Package cellblock holds the files at the root of the repository that the
// programs carry inside them.
package cellblock

import _ "embed"

// NsjailConfig is nsjail.cfg: the cold sandbox, and the default limits for a
// reader to find.
//
//go:embed nsjail.cfg
var NsjailConfig string
