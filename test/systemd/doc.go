// Package systemd tests the units of deploy/systemd and their installation, as far as that goes without a booted
// systemd: scripts/test-systemd boots one, and uses the units there.
package systemd
