package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cellblock/test/stack"
)

// host is the name in the configuration.
const host = "cellblock.example.org"

// nginx is a running nginx. Its owner calls stop.
type nginx struct {
	// dir has its configuration, its certificate and its log.
	dir string
	// plain and secure are its addresses for HTTP and HTTPS.
	plain, secure string
	// authority signs the certificates.
	authority *authority
	process   *exec.Cmd
}

// startNginx starts nginx with the configuration of deploy/proxy, changed to free ports and to the replicas.
func startNginx(ctx context.Context, dir string, replicas []string) (*nginx, error) {
	path, err := exec.LookPath("nginx")
	if err != nil {
		return nil, fmt.Errorf("%w; scripts/setup --test installs it", err)
	}
	n := &nginx{dir: dir}
	if n.authority, err = newAuthority(); err != nil {
		return nil, err
	}
	if err := n.writeCertificate(1); err != nil {
		return nil, err
	}
	if n.plain, n.secure, err = freeAddresses(); err != nil {
		return nil, err
	}
	if err := n.writeConfiguration(replicas); err != nil {
		return nil, err
	}
	// Not with ctx, which would kill it.
	n.process = exec.Command(path, "-p", dir, "-e", "error.log", "-c", "nginx.conf")
	n.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := n.process.Start(); err != nil {
		return nil, err
	}
	for ctx.Err() == nil {
		if conn, err := net.Dial("tcp", n.secure); err == nil {
			return n, conn.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, errors.Join(fmt.Errorf("nginx does not listen: %s", n.log()), n.stop())
}

// freeAddresses returns two addresses that were free a moment ago: nginx cannot report a port that it was assigned.
func freeAddresses() (plain, secure string, err error) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer first.Close()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	return first.Addr().String(), other.Addr().String(), other.Close()
}

func (n *nginx) writeConfiguration(replicas []string) error {
	content, err := os.ReadFile("../../deploy/proxy/nginx.conf")
	if err != nil {
		return err
	}
	site := string(content)
	for _, change := range [][2]string{
		{"listen 80 ", "listen " + n.plain + " "},
		{"listen 443 ", "listen " + n.secure + " "},
		{"server 127.0.0.1:8080 ", "server " + replicas[0] + " "},
		{"server 127.0.0.1:8081 ", "server " + replicas[1] + " "},
		{"/etc/ssl/cellblock/", n.dir + "/"},
		{"    listen [::]:80 default_server;\n", ""}, // machines without IPv6 run this, too
		{"    listen [::]:443 ssl http2 default_server;\n", ""},
		{"    listen [::]:443 ssl http2;\n", ""},
	} {
		if !strings.Contains(site, change[0]) {
			return fmt.Errorf("deploy/proxy/nginx.conf has no %q", change[0])
		}
		site = strings.ReplaceAll(site, change[0], change[1])
	}
	main := "daemon off;\nuser root;\nworker_processes 2;\npid nginx.pid;\nevents { }\nhttp {\naccess_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		main += kind + "_temp_path temp-" + kind + ";\n"
	}
	return os.WriteFile(filepath.Join(n.dir, "nginx.conf"), []byte(main+site+"\n}\n"), 0o600)
}

func (n *nginx) log() string {
	content, _ := os.ReadFile(filepath.Join(n.dir, "error.log"))
	return string(content)
}

// stop ends nginx, after its requests.
func (n *nginx) stop() error {
	if err := n.process.Process.Signal(syscall.SIGQUIT); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- n.process.Wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(stack.Scaled(20 * time.Second)):
		_ = syscall.Kill(-n.process.Process.Pid, syscall.SIGKILL) // its workers too
		return errors.Join(errors.New("nginx did not end"), <-done)
	}
}

// writeCertificate replaces the certificate by a new one with this serial number.
func (n *nginx) writeCertificate(serial int64) error {
	certificate, key, err := n.authority.issue(serial)
	return errors.Join(err,
		os.WriteFile(filepath.Join(n.dir, "privkey.pem"), key, 0o600),
		os.WriteFile(filepath.Join(n.dir, "fullchain.pem"), certificate, 0o600))
}

// client returns a client with connections of its own from a loopback address, which trusts the authority.
func (n *nginx) client(from string) *http.Client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return &http.Client{
		Timeout: stack.Scaled(time.Minute),
		Transport: &http.Transport{
			ForceAttemptHTTP2: true,
			TLSClientConfig:   &tls.Config{RootCAs: n.authority.pool},
			DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				to := n.secure
				if strings.HasSuffix(address, ":80") {
					to = n.plain
				}
				return dialer.DialContext(ctx, "tcp", to)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// authority is a certificate authority.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pool        *x509.CertPool
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1000), Subject: pkix.Name{CommonName: "authority of a test"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	a := &authority{key: key, pool: x509.NewCertPool()}
	if a.certificate, err = x509.ParseCertificate(der); err == nil {
		a.pool.AddCert(a.certificate)
	}
	return a, err
}

// issue returns a certificate for host and its key, in PEM.
func (a *authority) issue(serial int64) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{host}, NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, private.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), err
}
