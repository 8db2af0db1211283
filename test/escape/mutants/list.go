package main

// mutant is this source without one protection. At least one of the attempts must then succeed.
type mutant struct {
	name string
	// edits are the replacements, in order. Each text to replace must exist.
	edits []edit
	// sandbox is the kind of sandbox in which the attempt must succeed.
	sandbox string
	// tests is the pattern of the tests that must fail.
	tests string
}

type edit struct{ file, from, to string }

const (
	policy   = "internal/nsjail/seccomp/policy.go"
	calls    = "internal/nsjail/seccomp/calls.go"
	rules    = "internal/nsjail/seccomp/conditions.go"
	confine  = "runner/confine.py"
	networks = "runner/networks.py"
	config   = "nsjail.cfg"
	limits   = "internal/nsjail/sandbox/limits.go"
	v1       = "internal/nsjail/cgroup/v1.go"
	v2       = "internal/nsjail/cgroup/v2.go"
	frames   = "internal/nsjail/wire/frames.go"
	trials   = "internal/nsjail/trial/controls.go"
)

// untried takes out the trials at the start of a worker, which notice that a protection is gone: the attempts must too.
var untried = edit{trials, "return []trial{memoryTrial, processTrial, cpuTrial, insideTrial}", "return nil"}

// The limits of a job's memory and processes, without effect.
var (
	noMemoryLimit = []edit{
		{v1, `write(memory, "memory.limit_in_bytes", l.MemoryBytes)`, `write(memory, "memory.limit_in_bytes", 1<<40)`},
		{v1, `write(memory, "memory.memsw.limit_in_bytes", l.MemoryBytes)`, `write(memory, "memory.memsw.limit_in_bytes", 1<<40)`},
		{v2, `write(dir, "memory.max", l.MemoryBytes)`, `write(dir, "memory.max", 1<<40)`},
	}
	noProcessLimit = []edit{
		{v1, `return write(dirs[v.pids], "pids.max", int64(l.Processes))`, `return write(dirs[v.pids], "pids.max", 4096)`},
		{v2, `return write(dir, "pids.max", int64(l.Processes))`, `return write(dir, "pids.max", 4096)`},
	}
	noCPUTime = []edit{
		{v1, `return time.Duration(ns), err`, `return time.Duration(ns) / 1000, err`},
		{v2, `return time.Duration(us) * time.Microsecond, err`, `return time.Duration(us), err`},
	}
)

// attempt returns the pattern of one attempt.
func attempt(name string) string { return "TestAttempts/.*/" + name + "$" }

var mutants = []mutant{
	// the filter
	{"inotify allowed", []edit{{calls, `"access", "chdir",`, `"access", "inotify_init1", "chdir",`}}, "warm", attempt("syscalls/refused")},
	{"inotify allowed, cold", []edit{{calls, `"access", "chdir",`, `"access", "inotify_init1", "chdir",`}}, "cold", attempt("neighbours/watch")},
	{"ptrace allowed", []edit{{calls, `"access", "chdir",`, `"access", "ptrace", "chdir",`}}, "warm", attempt("kernel/attack_surface")},
	{"io_uring allowed", []edit{{calls, `"access", "chdir",`, `"access", "io_uring_setup", "chdir",`}}, "warm", attempt("network/io_uring")},
	{"shared memory allowed", []edit{{calls, `"access", "chdir",`, `"access", "shmget", "chdir",`}}, "warm", attempt("resources/shared_memory")},
	{"sockets allowed", []edit{{calls, `"accept", "accept4", "bind", "connect", "listen", "recvmmsg", "sendmmsg", "socket",`, `"accept", "accept4", "bind", "connect", "listen", "recvmmsg", "sendmmsg",`}, {calls, `"access", "chdir",`, `"access", "socket", "chdir",`}, untried}, "warm", attempt("network/addresses")},
	{"unknown calls allowed to fail as refused", []edit{{"internal/nsjail/seccomp/bpf.go", `errnoAction(syscall.ENOSYS)}}, "ENOSYS"}`, `errnoAction(syscall.EPERM)}}, "ENOSYS"}`}}, "warm", attempt("syscalls/unknown_numbers")},
	{"namespaces by clone", []edit{{rules, "cloneNamespaces | cloneParent | cloneFiles, 0", "cloneParent, 0"}}, "cold", attempt("kernel/namespaces")},
	{"the zygote as a parent", []edit{{rules, "cloneNamespaces | cloneParent | cloneFiles, 0", "cloneNamespaces, 0"}}, "warm", attempt("processes/clone_parent")},
	{"datagram pairs", []edit{{rules, "{1, typeMask, typeStream}", "{1, 0, 0}"}}, "warm", attempt("network/socketpairs")},
	{"other families of pairs", []edit{{rules, "{{0, intMask, familyUnix}, {1, typeMask, typeStream}}", "{{1, typeMask, typeStream}}"}}, "warm", attempt("network/socketpairs")},
	{"socket filters", []edit{{rules, "AnyOf: socketOptions(7,", "AnyOf: socketOptions(26, 7,"}}, "warm", attempt("network/socket_filters")},
	{"cache eviction", []edit{{rules, "3, 0, 1, 2, 3, 5)", "3, 0, 1, 2, 3, 4, 5)"}}, "warm", attempt("kernel/evict_shared_pages")},
	{"limits of process 1", []edit{{rules, `argIn("prlimit64", syscall.EPERM, 0, 0)`, `argIn("prlimit64", syscall.EPERM, 0, 0, 1)`}}, "cold", attempt("processes/attack_process_1")},
	{"leases", []edit{{rules, "1, 0, 1, 2, 3, 5, 6, 7, 1030,", "1, 1024, 1025, 1026, 0, 1, 2, 3, 5, 6, 7, 1030,"}}, "warm", attempt("neighbours/watch")},
	{"locks of open files", []edit{{rules, "5, 6, 7, 1030,", "5, 6, 7, 36, 37, 38, 1030,"}}, "warm", attempt("resources/locks_of_open_files")},
	{"shared descriptors", []edit{{rules, "cloneNamespaces | cloneParent | cloneFiles, 0", "cloneNamespaces | cloneParent, 0"}}, "warm", attempt("resources/locks_of_the_dead")},
	{"personalities", []edit{{rules, "0, queryPersona)", "0, queryPersona, 0x0040000)"}}, "warm", attempt("kernel/personality")},
	{"flushes of the disk", []edit{{calls, `{"fdatasync", "fsync", "sync",`, `{"fdatasync", "sync",`}, {calls, `"access", "chdir",`, `"access", "fsync", "chdir",`}}, "warm", attempt("kernel/flush_the_disk")},
	{"flushes of the disk, cold", []edit{{calls, `{"fdatasync", "fsync", "sync",`, `{"fdatasync", "sync",`}, {calls, `"access", "chdir",`, `"access", "fsync", "chdir",`}}, "cold", attempt("kernel/flush_the_disk")},
	{"msync(MS_SYNC)", []edit{{rules, "const sync = 4", "const sync = 0"}}, "warm", attempt("kernel/flush_the_disk")},
	{"reads past the page cache", []edit{{rules, "	return 0x4000", "	return 0"}}, "warm", attempt("kernel/direct_io")},
	{"reads past the page cache, cold", []edit{{rules, "	return 0x4000", "	return 0"}}, "cold", attempt("kernel/direct_io")},
	{"descriptors over sockets", []edit{{calls, `"access", "chdir",`, `"access", "sendmsg", "chdir",`}, {calls, `"recvmsg", "seccomp", "sendmsg",`, `"recvmsg", "seccomp",`}}, "warm", attempt("network/descriptors_over_sockets")},
	{"sendmsg as libraries see it", []edit{{"runner/supervisor.py", "        sockets.hide_refused()\n", ""}}, "cold", attempt("network/descriptors_over_sockets")},
	{"sendmsg as libraries see it, warm", []edit{{"runner/zygote.py", "    sockets.hide_refused()\n", ""}}, "warm", attempt("network/descriptors_over_sockets")},
	{"out-of-band data", []edit{{rules, "const sendFlags = msgDontwait", "const sendFlags = 0x1 | msgDontwait"}}, "warm", attempt("network/out_of_band")},
	{"reads that leave the data", []edit{{rules, "const recvFlags = msgTrunc", "const recvFlags = 0x2 | msgTrunc"}}, "warm", attempt("network/out_of_band")},
	{"epoll allowed", []edit{{policy, "	if o.Epoll {", "	if true {"}}, "warm", attempt("kernel/epoll")},
	{"timers on CPU time", []edit{{rules, "{0, 1, 7, 11}", "{0, 1, 2, 7, 11}"}}, "warm", attempt("kernel/cpu_timers")},
	{"advice on shared pages", []edit{{rules, "{0, 1, 2, 3, 4, 8, 10,", "{0, 1, 2, 3, 4, 8, 20, 21, 10,"}}, "warm", attempt("kernel/rare_arguments")},
	{"questions about the page cache", []edit{{rules, "writeFlags = 0x1 |", "writeFlags = 0x8 | 0x1 |"}}, "warm", attempt("kernel/rare_arguments")},
	{"names of sockets", []edit{{rules, "0, 0x1000, 0x8000", "0xc000, 0x1000, 0x8000"}}, "warm", attempt("kernel/rare_arguments")},
	{"signals on any descriptor", []edit{{rules, "{{0, intMask, 3}, {1, intMask, setOwner}", "{{1, intMask, setOwner}"}, {rules, "[]condition{{1, intMask, setOwner}, {2, intMask, 2}}", "[]condition{{1, intMask, setOwner}}"}}, "warm", attempt("kernel/rare_arguments")},
	{"codes of the processor", []edit{{rules, "0, 0x1001, 0x1002,", "0, 0x1022, 0x1001, 0x1002,"}}, "warm", attempt("kernel/rare_arguments")},

	// how a warm sandbox is confined
	{"no session of its own", []edit{{confine, "        os.setsid()\n", ""}}, "warm", attempt("processes/session")},
	{"descriptors left open", []edit{{confine, "    os.closerange(_JOB_CHANNEL + 1, 1 << 20)\n", ""}}, "warm", attempt("files/descriptors")},
	{"a shared /dev/null", []edit{{confine, `null = os.open("/dev/null", os.O_RDONLY)`, "null = 0"}}, "warm", attempt("neighbours/shared_descriptions")},
	{"no network namespace", []edit{{confine, "            enter(network, NEWNET)\n", "            pass\n"}}, "warm", "TestOwnNamespaces"},
	{"a network namespace for several", []edit{{networks, "self._unused: list[int] = []", "self._unused: list[int] = [self._own]"}, {networks, "self._unused.pop()", "self._unused[-1]"}}, "warm", "TestOwnNamespaces"},
	{"no ipc namespace", []edit{{confine, "_NEWNS | _NEWIPC", "_NEWNS"}, {policy, "newNet, newMountIPC         = 0x40000000, 0x08020000", "newNet, newMountIPC         = 0x40000000, 0x00020000"}}, "warm", "TestOwnNamespaces"},
	{"no cgroup namespace", []edit{{confine, "unshare(_NEWCGROUP)", "pass"}}, "warm", attempt("files/cgroup_name")},
	{"a whole /proc", []edit{{confine, `read_only, b"subset=pid"`, "read_only, None"}, untried}, "warm", attempt("files/host_paths")},
	{"a writable /proc", []edit{{confine, "flags | _NOEXEC | read_only, b", "flags | _NOEXEC, b"}}, "warm", attempt("files/proc_of_others")},
	{"a shared /tmp", []edit{{confine, `    _mount(b"tmpfs", b"/tmp", b"tmpfs", flags, plan.tmp)` + "\n", ""}}, "warm", attempt("neighbours/find")},
	{"no bound on files", []edit{{confine, ",nr_inodes=16384", ""}}, "warm", attempt("resources/inodes")},
	{"no bound on /tmp", []edit{{confine, `f"size={fields['tmp_bytes']},`, `f"size=1g,`}}, "warm", attempt("resources/tmpfs")},
	{"a user that all share", []edit{{confine, "    os.setresuid(uid, uid, uid)\n", ""}}, "warm", attempt("files/setuid")},
	{"capabilities kept", []edit{{confine, `    _call(plan, "capset", plan.capability_header, plan.no_capabilities)` + "\n", ""}}, "warm", attempt("files/setuid")},
	{"a bounding set", []edit{{confine, `        _check(_prctl(_CAPBSET_DROP, capability, 0, 0, 0), "capbset")`, "        pass"}}, "warm", attempt("files/setuid")},
	{"shared random state", []edit{{confine, "        _reseed(plan)\n", ""}}, "warm", "TestNoSharedNumbers"},
	{"user namespaces below a zygote", []edit{{confine, "            _forbid_user_namespaces()", "            pass"}}, "warm", "TestSecondLock"},
	{"no limit on files", []edit{
		{limits, "unix.RLIMIT_FSIZE: uint64(maxFileBytes(l)), ", ""}, {"runner/job.py", "        _setrlimit(_RLIMIT_FSIZE, (size, size))\n", "        pass\n"},
	}, "warm", attempt("resources/sparse_file")},
	{"a limit on files that is not lowered", []edit{{"runner/job.py", "        _setrlimit(_RLIMIT_FSIZE, (size, size))\n", "        pass\n"}}, "warm", attempt("kernel/raise_limits")},
	{"variables before the limits", []edit{{"runner/inputs.py", "    # Last: these limits do not", "    set_environment(request.get(\"env\", {}))\n    # Last: these limits do not"}}, "warm", attempt("inputs/code_before_the_limits")},
	{"a soft limit on files", []edit{{"runner/job.py", "_setrlimit(_RLIMIT_FSIZE, (size, size))", "_setrlimit(_RLIMIT_FSIZE, (size, 16 << 20))"}}, "warm", attempt("inputs/raise_the_size_of_files")},
	{"outputs through links", []edit{{"runner/outputs.py", "_OPEN_FLAGS = O_RDONLY | O_NOFOLLOW | ", "_OPEN_FLAGS = O_RDONLY | "}, {"runner/outputs.py", "kind == _REGULAR or _is_named", "True or _is_named"}}, "warm", attempt("outputs/link_as_folder")},
	{"outputs that block", []edit{{"runner/outputs.py", " | O_NONBLOCK | O_CLOEXEC", " | O_CLOEXEC"}}, "warm", "TestPipesInThePlaceOfFiles"},
	{"links beside outputs", []edit{{"runner/outputs.py", "_OPEN_FLAGS = O_RDONLY | O_NOFOLLOW | ", "_OPEN_FLAGS = O_RDONLY | "}, {"runner/outputs.py", "mode = stat(name, dir_fd=folder, follow_symlinks=False)", "mode = stat(name, dir_fd=folder)"}, {"runner/outputs.py", "kind == _REGULAR or _is_named", "True or _is_named"}}, "warm", attempt("outputs/beside")},
	{"files beside outputs without number", []edit{{"runner/outputs.py", "if self._files_left > 0 and size <= self._bytes_left:", "if size <= self._bytes_left:"}}, "warm", attempt("outputs/beside_many")},
	{"outputs without number", []edit{{"internal/nsjail/wire/output_files.go", "if len(files.list) == limits.OutputFiles {", "if false {"}}, "warm", attempt("outputs/too_many")},
	{"displays of any file", []edit{{"internal/nsjail/wire/displays.go", "if !sent {", "if !sent && false {"}}, "warm", attempt("lying/forged_displays")},
	{"names as they come", []edit{{"internal/nsjail/wire/output_files.go", "safe := names.Sanitize(name)", "_ = names; safe := name"}}, "warm", attempt("outputs/names")},
	{"paths that nobody checks", []edit{{"internal/jobs/files.go", "if err := CheckPath(file.Path); err != nil {", "if err := CheckPath(file.Path); err != nil && false {"}}, "warm", attempt("inputs/path_dotdot")},
	{"no limit on descriptors", []edit{{limits, "unix.RLIMIT_NOFILE: uint64(l.OpenFiles)", "unix.RLIMIT_NOFILE: 1024"}}, "warm", attempt("resources/descriptors")},
	{"no rlimit on processes", []edit{{limits, ", unix.RLIMIT_NPROC: processes,", ","}}, "warm", attempt("kernel/raise_limits")},

	// how a cold sandbox is confined
	{"a mount that is writable", []edit{{config, `src: "/usr/lib" dst: "/usr/lib" is_bind: true`, `src: "/usr/lib" dst: "/usr/lib" is_bind: true rw: true`}}, "cold", attempt("files/read_only_mounts")},
	{"a mount of the machine", []edit{{config, `mount { src: "/bin" dst`, `mount { src: "/etc" dst: "/mnt" is_bind: true }` + "\n" + `mount { src: "/bin" dst`}}, "cold", attempt("files/host_paths")},
	{"devices that can be changed", []edit{{config, `src: "/dev/null" dst: "/dev/null" is_bind: true nosuid`, `src: "/dev/null" dst: "/dev/null" is_bind: true rw: true nosuid`}}, "warm", attempt("files/write_everywhere")},
	{"setuid on mounts", []edit{{"internal/nsjail/jail/config.go", "is_bind: true nosuid: true nodev: true }", "is_bind: true }"}}, "cold", attempt("files/read_only_mounts")},
	{"the machine's network", []edit{{config, "iface_no_lo: true", "clone_newnet: false"}}, "cold", "TestOwnNamespaces"},
	{"the machine's ipc", []edit{{config, "iface_no_lo: true", "iface_no_lo: true\nclone_newipc: false"}}, "cold", "TestOwnNamespaces"},
	{"a process 1 that can be read", []edit{{"runner/supervisor.py", "(_PR_SET_DUMPABLE, 0)", "(_PR_SET_DUMPABLE, 1)"}}, "cold", attempt("files/proc_of_others")},
	{"the worker's environment", []edit{{config, "keep_env: false", "keep_env: true"}, {"internal/nsjail/jail/process.go", "cmd.Env = []string{}", "cmd.Env = os.Environ()"}}, "cold", attempt("secrets/environment")},

	// cgroups
	{"no memory limit", append(noMemoryLimit, untried), "warm", attempt("resources/memory")},
	{"no process limit", append(noProcessLimit, untried), "warm", attempt("processes/count")},
	{"names of dead jobs kept", []edit{{"internal/nsjail/cgroup/remove.go", "	g.reclaim()\n", ""}}, "warm", attempt("resources/names_left_behind")},
	{"no cgroup is joined", []edit{{confine, `            os.write(fd, b"0")`, "            pass"}, untried}, "warm", attempt("processes/count")},

	// whether the start of a worker notices
	{"a memory limit without effect", noMemoryLimit, "warm", "TestEveryControlBites"},
	{"a memory limit without effect, cold", noMemoryLimit, "cold", "TestEveryControlBites"},
	{"a process limit without effect", noProcessLimit, "warm", "TestEveryControlBites"},
	{"a process limit without effect, cold", noProcessLimit, "cold", "TestEveryControlBites"},
	{"CPU time that is not counted", noCPUTime, "warm", "TestEveryControlBites"},
	{"CPU time that is not counted, cold", noCPUTime, "cold", "TestEveryControlBites"},

	// what the worker accepts
	{"the report wins", []edit{{"internal/nsjail/sandbox/verdict.go", "	if enforced := decideEnforced(e, limits); enforced != nil {", "	if enforced := decideEnforced(e, limits); enforced != nil && e.reportErr != nil {"}}, "warm", attempt("lying/forged_report")},
	{"an exit status before it is final", []edit{{"internal/nsjail/sandbox/exit_watcher.go", "	if err != nil || !first.exiting {", "	if err != nil {"}}, "warm", attempt("lying/forged_report")},
	{"any code is taken", []edit{{frames, "if !failure.Code.Reported() {", "if false {"}}, "warm", attempt("lying/forged_enforced")},
	{"any field is taken", []edit{{frames, `	failure.Signal, failure.Limit = "", nil` + "\n", ""}}, "warm", attempt("lying/forged_fields")},
	{"descriptors in flight", []edit{{calls, `"access", "chdir",`, `"access", "sendmsg", "chdir",`}, {calls, `"recvmsg", "seccomp", "sendmsg",`, `"recvmsg", "seccomp",`}, {"internal/nsjail/sandbox/run.go", "	_ = s.channel.Close()\n	outcome.Stdout", "	outcome.Stdout"}, {"internal/nsjail/sandbox/run.go", "drainBound = time.Second", "drainBound = time.Minute"}}, "cold", attempt("lying/descriptors_in_flight")},
	{"no limit on CPU time", []edit{{"internal/nsjail/sandbox/run.go", "		return killedForCPU", "		return notKilled"}}, "warm", attempt("resources/regex")},
	{"file locks without count", []edit{{"internal/nsjail/sandbox/run.go", "			end(killedForLocks)\n", ""}}, "warm", attempt("resources/locks")},
	{"results without bound", []edit{{frames, "	if length > limit {", "	if length > limit && length > 1<<31 {"}, {"runner/end_frame.py", "serialize.encode(value, max_bytes, figure_files, notes)", "serialize.encode(value, 1 << 31, figure_files, notes)"}}, "warm", attempt("resources/large_result")},
}
