// Package operations runs what docs/operations.md has operators do, on a real service under load: a backup and a
// restore, and the rotation of secrets.
package operations
