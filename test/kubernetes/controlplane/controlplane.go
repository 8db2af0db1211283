package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cellblock/test/stack"
)

const (
	startBound = 5 * time.Minute
	stopBound  = 30 * time.Second
)

// ControlPlane is a running control plane. It is safe for concurrent use.
type ControlPlane struct {
	// Kubeconfig is the path of a file by which clients may do everything.
	Kubeconfig string
	// Client may do everything.
	Client *Client

	tools     Tools
	dir       string
	files     certificates
	processes []*stack.Process
}

// Start starts a control plane whose files are in dir, and returns once it has nodes that are ready. Stop ends it.
func Start(ctx context.Context, tools Tools, dir string) (_ *ControlPlane, err error) {
	ctx, cancel := context.WithTimeout(ctx, startBound)
	defer cancel()
	c := &ControlPlane{tools: tools, dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	if c.files, err = makeCertificates(dir); err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	etcd := "http://127.0.0.1:" + ports[0]
	if err := c.startEtcd(etcd, "http://127.0.0.1:"+ports[1]); err != nil {
		return nil, err
	}
	if err := c.startAPI(ctx, etcd, ports[2]); err != nil {
		return nil, err
	}
	if err := c.startControllers(); err != nil {
		return nil, err
	}
	return c, c.addNodes(ctx)
}

// freePorts returns ports that nothing listens on.
func freePorts(n int) (ports []string, err error) {
	var listeners []net.Listener
	defer func() {
		for _, listener := range listeners {
			err = errors.Join(err, listener.Close())
		}
	}()
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, listener)
		_, port, err := net.SplitHostPort(listener.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

func (c *ControlPlane) start(name string, args ...string) error {
	env := []string{"HOME=" + c.dir, "PATH=" + os.Getenv("PATH")}
	process, err := stack.LaunchProgram(name, c.tools.Path(name), args, env)
	if err == nil {
		c.processes = append(c.processes, process)
	}
	return err
}

func (c *ControlPlane) startEtcd(clients, peers string) error {
	return c.start("etcd", "--name=test", "--data-dir="+filepath.Join(c.dir, "etcd"),
		"--listen-client-urls="+clients, "--advertise-client-urls="+clients,
		"--listen-peer-urls="+peers, "--initial-advertise-peer-urls="+peers, "--initial-cluster=test="+peers,
		"--unsafe-no-fsync")
}

// startAPI starts the API server, and waits until it is ready.
func (c *ControlPlane) startAPI(ctx context.Context, etcd, port string) (err error) {
	err = c.start("kube-apiserver", "--etcd-servers="+etcd, "--bind-address=127.0.0.1", "--secure-port="+port,
		"--tls-cert-file="+c.files.server, "--tls-private-key-file="+c.files.serverKey,
		"--client-ca-file="+c.files.authority, "--anonymous-auth=false", "--authorization-mode=Node,RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-signing-key-file="+c.files.serviceAccountKey,
		"--service-account-key-file="+c.files.serviceAccountKey,
		"--service-cluster-ip-range=10.96.0.0/16",
		// No pod reaches it: the Service kubernetes needs no address.
		"--endpoint-reconciler-type=none", "--profiling=false",
		// As kubeadm sets it: else no pod may be privileged, whatever its namespace allows.
		"--allow-privileged=true")
	if err != nil {
		return err
	}
	url := "https://127.0.0.1:" + port
	if c.Kubeconfig, err = c.writeKubeconfig(url); err != nil {
		return err
	}
	if c.Client, err = newClient(url, c.files); err != nil {
		return err
	}
	return c.await(ctx, c.processes[len(c.processes)-1], func() bool {
		_, err := c.Client.send(ctx, "GET", "/readyz", "", nil)
		return err == nil
	})
}

func (c *ControlPlane) startControllers() error {
	kubeconfig := "--kubeconfig=" + c.Kubeconfig
	return errors.Join(
		c.start("kube-controller-manager", kubeconfig, "--leader-elect=false", "--secure-port=0",
			"--root-ca-file="+c.files.authority, "--service-account-private-key-file="+c.files.serviceAccountKey),
		c.start("kube-scheduler", kubeconfig, "--leader-elect=false", "--secure-port=0"),
		c.start("kwok", kubeconfig, "--manage-all-nodes=true", "--cidr=10.244.0.1/16"),
	)
}

// await polls until ready reports true, since the API server announces nothing.
func (c *ControlPlane) await(ctx context.Context, process *stack.Process, ready func() bool) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-process.Done():
			return fmt.Errorf("%s ended:\n%s", process.Name, process.Log())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", process.Name, ctx.Err(), c.Logs())
		}
	}
	return nil
}

func (c *ControlPlane) writeKubeconfig(url string) (path string, err error) {
	path = filepath.Join(c.dir, "kubeconfig")
	return path, os.WriteFile(path, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: test, user: {client-certificate: %q, client-key: %q}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
`, url, c.files.authority, c.files.client, c.files.clientKey), 0o600)
}

// Logs returns the last lines of each process.
func (c *ControlPlane) Logs() string {
	var all strings.Builder
	for _, process := range c.processes {
		lines := strings.Split(process.Log(), "\n")
		fmt.Fprintf(&all, "%s:\n%s\n", process.Name, strings.Join(lines[max(0, len(lines)-30):], "\n"))
	}
	return all.String()
}

// Stop ends all processes, the last one first. It returns an error for those that it had to kill, or that had ended.
func (c *ControlPlane) Stop() (err error) {
	if c.Client != nil {
		c.Client.http.CloseIdleConnections()
	}
	for i := len(c.processes) - 1; i >= 0; i-- {
		err = errors.Join(err, stop(c.processes[i]))
	}
	return err
}

func stop(process *stack.Process) error {
	select {
	case <-process.Done():
		return fmt.Errorf("%s had ended:\n%s", process.Name, process.Log())
	default:
	}
	err := process.Signal(syscall.SIGTERM)
	select {
	case <-process.Done():
		return err
	case <-time.After(stopBound):
		process.Kill()
		return errors.Join(err, fmt.Errorf("%s did not end within %s of SIGTERM", process.Name, stopBound))
	}
}
