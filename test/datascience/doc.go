// Package datascience has tests of the environment data-science on a real service: what docs/environments.md shows, and
// scripts that need its packages. It must be built: `make test-data-science` does that first.
package datascience
