package gvisor

// dockerAdditions are the new files that dockerPatches calls.
func dockerAdditions() []addition {
	const cgroups = "pkg/sentry/fsimpl/cgroupfs/"
	return []addition{
		{"memory.go.txt", cgroups + "labd_memory.go"},
		{"freezer.go.txt", cgroups + "labd_freezer.go"},
		{"cpu.go.txt", cgroups + "labd_cpu.go"},
		{"charge.go.txt", "pkg/sentry/pgalloc/labd_charge.go"},
		{"link_stats.go.txt", "pkg/sentry/socket/netlink/route/labd_link_stats.go"},
	}
}

// dockerPatches makes a Docker engine in a node behave as on Linux: signals, statistics, limits, pause.
// docs/fidelity.md lists what remains different. Package sandbox/conformance tests each of them.
func dockerPatches() []patch {
	const (
		cgroups    = "pkg/sentry/fsimpl/cgroupfs/"
		cgroupsFS  = cgroups + "cgroupfs.go"
		cgroupKind = "pkg/sentry/kernel/cgroup.go"
	)
	return []patch{{
		// Linux ignores a signal for the init process of a PID namespace unless the process has a handler for it, except
		// SIGKILL and SIGSTOP from outside. gVisor has a TODO for this. Without it, "docker stop" ends a program without a
		// handler at once (143) instead of after the grace period (137), which is what lessons on PID 1 show.
		File: "pkg/sentry/kernel/task_signals.go", Times: 1,
		Old: "	ignored := computeAction(sig, t.tg.signalHandlers.actions[sig]) == SignalActionIgnore\n",
		New: `	ignored := computeAction(sig, t.tg.signalHandlers.actions[sig]) == SignalActionIgnore
	if linux.SignalSetOf(sig)&UnblockableSignals == 0 && t.tg.signalHandlers.actions[sig].Handler == linux.SIG_DFL && t.tg.pidns != t.tg.pidns.owner.Root && t.tg.isInitInLocked(t.tg.pidns) {
		ignored = true
	}
`,
	}, {
		// Memory limits of containers, and the files of the memory controller that containerd reads for "docker stats".
		File: cgroups + "memory.go", Times: 1,
		Old: "	pressureLevel         int64\n",
		New: "	pressureLevel         int64\n	limit                 memoryLimit `state:\"nosave\"`\n",
	}, {
		File: cgroups + "memory.go", Times: 1,
		Old: "	contents[\"memory.pressure_level\"]",
		New: "	c.addLimitFiles(ctx, creds, cg, contents)\n	contents[\"memory.pressure_level\"]",
	}, {
		File: cgroups + "memory.go", Times: 1,
		Old: "c.fs.newStubControllerFile(ctx, creds, &c.limitBytes, true)", New: "c.newLimitFile(ctx, creds)",
	}, {
		File: cgroupsFS, Times: 1,
		Old: "		kernel.KernelFromContext(ctx).CgroupRegistry().RemoveCgroup(cgi.id)\n",
		New: `		kernel.KernelFromContext(ctx).CgroupRegistry().RemoveCgroup(cgi.id)
		if c, ok := cgi.controllers[kernel.CgroupControllerMemory].(*memoryController); ok {
			c.removed(ctx)
		}
`,
	}, {
		// The memory limits count allocations.
		File: "pkg/sentry/pgalloc/pgalloc.go", Times: 1,
		Old: "		if err != nil {\n			return fr, err\n		}\n	}\n\n	return fr, nil\n}\n",
		New: "		if err != nil {\n			return fr, err\n		}\n	}\n\n	chargeCgroup(opts.MemCgID, length)\n	return fr, nil\n}\n",
	}, {
		// containerd gives no CPU statistics without this file. One number for all processors is enough for it.
		File: cgroups + "cpuacct.go", Times: 1,
		Old: "	contents[\"cpuacct.usage_user\"]",
		New: "	contents[\"cpuacct.usage_percpu\"] = c.fs.newControllerFile(ctx, creds, &cpuacctUsageData{cpuacctCG}, true)\n	contents[\"cpuacct.usage_user\"]",
	}, {
		// CPU limits of containers.
		File: cgroups + "cpu.go", Times: 1,
		Old: "	controllerNoResource\n\n	// CFS",
		New: "	controllerNoResource\n\n	throttle cpuThrottle `state:\"nosave\"`\n\n	// CFS",
	}, {
		File: cgroups + "cpu.go", Times: 1,
		Old: "creds *auth.Credentials, _ *cgroupInode,", New: "creds *auth.Credentials, cg *cgroupInode,",
	}, {
		File: cgroups + "cpu.go", Times: 1,
		Old: "c.fs.newStubControllerFile(ctx, creds, &c.cfsQuota, true)", New: "c.newQuotaFile(ctx, creds, cg)",
	}, {
		// The freezer controller, for "docker pause".
		File: cgroupKind, Times: 1,
		Old: "	CgroupControllerJob     = CgroupControllerType(\"job\")\n",
		New: "	CgroupControllerFreezer = CgroupControllerType(\"freezer\")\n	CgroupControllerJob     = CgroupControllerType(\"job\")\n",
	}, {
		File: cgroupKind, Times: 1,
		Old: `"devices", "job", "memory"`, New: `"devices", "freezer", "job", "memory"`,
	}, {
		File: cgroupKind, Times: 1,
		Old: "	case \"job\":\n", New: "	case \"freezer\":\n		return CgroupControllerFreezer, nil\n	case \"job\":\n",
	}, {
		File: cgroupsFS, Times: 1,
		Old: "	kernel.CgroupControllerJob,\n", New: "	kernel.CgroupControllerFreezer,\n	kernel.CgroupControllerJob,\n",
	}, {
		File: cgroupsFS, Times: 1,
		Old: `"devices", "job", "memory"`, New: `"devices", "freezer", "job", "memory"`,
	}, {
		File: cgroupsFS, Times: 1,
		Old: "	if _, ok := mopts[\"job\"]; ok {\n",
		New: `	if _, ok := mopts["freezer"]; ok {
		delete(mopts, "freezer")
		wantControllers = append(wantControllers, kernel.CgroupControllerFreezer)
	}
	if _, ok := mopts["job"]; ok {
`,
	}, {
		File: cgroupsFS, Times: 1,
		Old: "		case kernel.CgroupControllerJob:\n",
		New: "		case kernel.CgroupControllerFreezer:\n			c = newFreezerController(fs)\n		case kernel.CgroupControllerJob:\n",
	}, {
		// Counters of network interfaces over netlink. Without them, the engine drops all statistics of a container.
		File: "pkg/sentry/inet/inet.go", Times: 1,
		Old: "	Kind string\n}\n\n// InterfaceAddr",
		New: "	Kind string\n\n	// Stats are the counters of the device.\n	Stats StatDev\n}\n\n// InterfaceAddr",
	}, {
		File: "pkg/sentry/socket/netstack/stack.go", Times: 1,
		Old: "		is[int32(id)] = makeInterfaceInfo(&ni)\n	}\n	return is\n",
		New: `		info := makeInterfaceInfo(&ni)
		info.Stats[0], info.Stats[1] = ni.Stats.Rx.Bytes.Value(), ni.Stats.Rx.Packets.Value()
		info.Stats[8], info.Stats[9] = ni.Stats.Tx.Bytes.Value(), ni.Stats.Tx.Packets.Value()
		is[int32(id)] = info
	}
	return is
`,
	}, {
		File: "pkg/sentry/socket/netlink/route/protocol.go", Times: 1,
		Old: "	if i.Kind != \"\" {\n		var nestedAttrs",
		New: "	m.PutAttr(linux.IFLA_STATS64, primitive.AsByteSlice(linkStats64(i.Stats)))\n	if i.Kind != \"\" {\n		var nestedAttrs",
	}}
}
