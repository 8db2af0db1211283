package environment

import (
	"fmt"
	"regexp"
)

// DefaultName is the environment of jobs that name none. It is the Python in CELLBLOCK_PREFIX.
const DefaultName = "default"

// namePattern is also the pattern of the field `environment` in api/openapi.yaml.
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// CheckName returns an error unless name can be the name of an environment: 1 to 63 lower case letters, digits and
// hyphens, the first of them no hyphen. Such a name is always a single element of a path.
func CheckName(name string) error {
	if namePattern.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%q is no name of an environment; a name has 1 to 63 lower case letters, digits and hyphens, "+
		"and does not begin with a hyphen", name)
}
