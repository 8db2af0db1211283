# tries: to raise its own limits, priority and those of process 1
# protection: hard limits, no CAP_SYS_RESOURCE, the filter
# inside: []
# gvisor: ["nice",["RLIMIT_MSGQUEUE",[819200,819200]]]
import os, resource


def main():
    raised = []
    for name in dir(resource):
        if name.startswith("RLIMIT_"):
            limit = getattr(resource, name)
            soft, hard = resource.getrlimit(limit)
            if hard != resource.RLIM_INFINITY:
                raised += succeeded(name, resource.setrlimit, limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    raised += succeeded("nice", os.setpriority, os.PRIO_PROCESS, 0, -5)
    wanted = {"RLIMIT_CORE": 0, "RLIMIT_MSGQUEUE": 0, "RLIMIT_RTPRIO": 0, "RLIMIT_FSIZE": 1 << 20, "RLIMIT_NOFILE": 256, "RLIMIT_NPROC": 80}
    raised += [[k, resource.getrlimit(getattr(resource, k))] for k, v in wanted.items() if resource.getrlimit(getattr(resource, k))[1] > v]
    return raised
