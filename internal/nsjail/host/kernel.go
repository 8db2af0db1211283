package host

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// gvisorBuild is the build date that gVisor's kernel claims, in every release of it (uname(2)).
const gvisorBuild = "Sun Jan 10 15:06:54 PST 2016"

// underGVisor reports whether this machine's kernel is gVisor, which accepts some controls without keeping them, and is
// a boundary of its own.
func underGVisor() bool {
	_, build := kernelNames()
	return strings.Contains(build, gvisorBuild)
}

// kernelNames returns the kernel's release and its build, as in `uname -r` and `uname -v`.
func kernelNames() (release, build string) {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return "", ""
	}
	return unix.ByteSliceToString(name.Release[:]), unix.ByteSliceToString(name.Version[:])
}

// kernelVersion is a version of Linux: major, minor, and the number of the stable release.
type kernelVersion [3]int

func (v kernelVersion) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

func (v kernelVersion) before(w kernelVersion) bool { return slices.Compare(v[:], w[:]) < 0 }

// hole is a hole of the kernel that is fixed, and that a script could reach through the calls that it may make.
// docs/kernel-surface.md has those that the filter keeps out of reach.
type hole struct {
	id string
	// reach is how a script would get there.
	reach string
	// since is the first version that has it. fixed are the first versions without it, of each stable series, in order;
	// the last one is the first release of Linux without it.
	since kernelVersion
	fixed []kernelVersion
}

// holes are from the records of the CVE program for the kernel, and the announcements that these refer to.
var holes = []hole{
	{
		"CVE-2021-3347", "futex (priority inheritance)",
		kernelVersion{},
		[]kernelVersion{{5, 10, 12}, {5, 11, 0}},
	},
	{
		"CVE-2022-0847", "sendfile into a pipe, which then writes into read-only files",
		kernelVersion{5, 12, 0},
		[]kernelVersion{{5, 15, 25}, {5, 16, 11}, {5, 17, 0}},
	},
	{
		"CVE-2023-3269", "mmap (the growth of stacks)",
		kernelVersion{6, 1, 0},
		[]kernelVersion{{6, 1, 37}, {6, 3, 11}, {6, 4, 1}, {6, 5, 0}},
	},
	{
		"CVE-2024-50066", "mremap beside huge pages",
		kernelVersion{6, 6, 0},
		[]kernelVersion{{6, 6, 58}, {6, 11, 5}, {6, 12, 0}},
	},
	{
		"CVE-2026-43074", "epoll, where scripts may use it",
		kernelVersion{6, 4, 0},
		[]kernelVersion{{6, 6, 136}, {6, 12, 83}, {6, 18, 24}, {6, 19, 14}, {7, 0, 0}},
	},
}

// in reports whether the version has the hole, unless a distribution has fixed it there.
func (h hole) in(v kernelVersion) bool {
	if v.before(h.since) || !v.before(h.fixed[len(h.fixed)-1]) {
		return false
	}
	for _, f := range h.fixed {
		if f[0] == v[0] && f[1] == v[1] {
			return v.before(f)
		}
	}
	return true
}

// CheckKernel compares the kernel's version with the list of holes. It knows no version in which a distribution fixed
// one without a new number, and no hole that is not on the list.
func CheckKernel() Check {
	release, build := kernelNames()
	return checkKernel(release, build)
}

func checkKernel(release, build string) Check {
	if strings.Contains(build, gvisorBuild) {
		return OK("kernel", "gVisor, with holes of its own; the list of known ones is for Linux")
	}
	version, known := parseKernel(release, build)
	if !known {
		return Warn("kernel", fmt.Sprintf("the version %q is not one of Linux's; keep it up to date", release))
	}
	var open []string
	for _, h := range holes {
		if h.in(version) {
			open = append(open, fmt.Sprintf("%s by %s (fixed in %s)", h.id, h.reach, join(h.fixed)))
		}
	}
	if len(open) == 0 {
		return OK("kernel", fmt.Sprintf("%s, with none of the %d known holes that a script could reach; "+
			"newer ones are not on the list", version, len(holes)))
	}
	return Warn("kernel", fmt.Sprintf("%s may let scripts reach %s; a distribution may have fixed that "+
		"without a new number: look at its security tracker, or update", version, strings.Join(open, "; ")))
}

// debianVersion is how Debian names the stable release in the build; its release has 0 in that place.
var debianVersion = regexp.MustCompile(`Debian (\d+)\.(\d+)\.(\d+)`)

var releaseVersion = regexp.MustCompile(`^(\d+)\.(\d+)(?:\.(\d+))?`)

// parseKernel returns the version in the kernel's names.
func parseKernel(release, build string) (kernelVersion, bool) {
	match := releaseVersion.FindStringSubmatch(release)
	if debian := debianVersion.FindStringSubmatch(build); debian != nil {
		match = debian
	}
	if match == nil {
		return kernelVersion{}, false
	}
	var v kernelVersion
	for i, text := range match[1:] {
		number, err := strconv.Atoi(cmp.Or(text, "0"))
		if err != nil {
			return kernelVersion{}, false
		}
		v[i] = number
	}
	return v, true
}

func join(versions []kernelVersion) string {
	texts := make([]string, len(versions))
	for i, v := range versions {
		texts[i] = v.String()
	}
	return strings.Join(texts, ", ")
}
