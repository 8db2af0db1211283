package stack

import (
	"context"
	"fmt"
)

// StartReplica starts another API beside that of the stack, with settings of its own, and returns its URL once it
// listens. Stop stops it.
func (s *Stack) StartReplica(ctx context.Context, env Env) (url string, _ *Process, err error) {
	return s.StartReplicaOf(ctx, s.config.Programs.API, env)
}

// StartReplicaOf is StartReplica with the given program, which may be that of another version.
func (s *Stack) StartReplicaOf(ctx context.Context, program string, env Env) (url string, _ *Process, err error) {
	ctx, cancel := context.WithTimeout(ctx, readyBound)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := start(fmt.Sprintf("api-%d", len(s.replicas)+2), program, nil,
		environment(s.shared(), Env{"API_ADDR": "127.0.0.1:0"}, env))
	if err != nil {
		return "", nil, err
	}
	s.replicas = append(s.replicas, p)
	err = p.await(ctx, "listening", func() bool {
		url = p.Logged("listening", "addr", nil)
		return url != ""
	})
	return "http://" + url, p, err
}
