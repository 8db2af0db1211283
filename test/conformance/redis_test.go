package conformance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellblock/internal/redisconn"
	"cellblock/internal/redistest"
	"cellblock/test/stack"
)

// TestRedisOverTLS: the API and a worker connect to a Redis whose certificate was signed by a
// private authority, as an ACL user, in a database other than 0. Every user there needs a password.
func TestRedisOverTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, cert, key := certificates(t, dir)
	port := freePort(t)
	url := "rediss://ann:s3cret@127.0.0.1:" + port + "/3"
	env := stack.Env{"REDIS_URL": url, "REDIS_CA_FILE": ca, "LOG_FORMAT": "json"}
	s := startStack(t, stack.Config{
		API: env, Workers: []stack.Env{env},
		Redis: []string{
			"--tls-port", port, "--bind", "127.0.0.1", "--tls-cert-file", cert, "--tls-key-file", key,
			"--tls-auth-clients", "no",
			"--user", "ann", "on", ">s3cret", "~*", "&*", "+@all", "--user", "default", "on", ">another",
			"~*", "&*", "+@all",
		},
	})
	a := execute(t, s.URL, "def main():\n    return 'over TLS'\n")
	checkEqual(t, "result", string(a.Result), `"over TLS"`)

	admin := redistest.Client(t, strings.Replace(s.RedisURL, "unix://", "unix://:another@", 1))
	clients, err := admin.ClientList(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	theirs := 0
	for line := range strings.Lines(clients) {
		if !strings.Contains(line, "addr=127.0.0.1:") {
			continue // the admin's own
		}
		if strings.Contains(line, " cmd=NULL ") {
			continue // it has not authenticated yet
		}
		theirs++
		if !strings.Contains(line, " user=ann ") || !strings.Contains(line, " db=3 ") {
			t.Errorf("a connection of another user or database: %s", line)
		}
	}
	if theirs < 4 {
		t.Errorf("the programs have %d connections: %s", theirs, clients)
	}
	if n, err := admin.DBSize(t.Context()).Result(); err != nil || n != 0 {
		t.Errorf("%d keys are in database 0, %v", n, err)
	}
	for _, p := range append(s.Workers(), s.API) {
		if strings.Contains(p.Log(), "s3cret") {
			t.Errorf("%s has written the password", p.Name)
		}
	}
	checkRefusedConnections(t, url, ca)
}

// checkRefusedConnections: connections fail without the authority, with another one, and in plain text.
func checkRefusedConnections(t *testing.T, url, ca string) {
	t.Helper()
	other, _, _ := certificates(t, t.TempDir())
	for name, settings := range map[string]redisconn.Settings{
		"no authority":      {URL: url},
		"another authority": {URL: url, CAFile: other},
		"another name":      {URL: strings.Replace(url, "127.0.0.1", "localhost", 1), CAFile: ca},
		"plain text":        {URL: strings.Replace(url, "rediss", "redis", 1)},
		"another password":  {URL: strings.Replace(url, "s3cret", "x", 1), CAFile: ca},
	} {
		client, err := settings.Open()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := client.Ping(t.Context()).Err(); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: got %v", name, err)
		}
		_ = client.Close()
	}
	client, err := redisconn.Settings{URL: url, CAFile: ca}.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

// certificates creates an authority and a server certificate for 127.0.0.1, and returns the paths
// of the files.
func certificates(t *testing.T, dir string) (ca, cert, key string) {
	t.Helper()
	caKey, serverKey := newKey(t), newKey(t)
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(time.Hour),
		IsCA:     true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "redis"}, NotBefore: now.Add(-time.Hour),
		NotAfter:    now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	write := func(name, kind string, der []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	caDER, err := x509.CreateCertificate(rand.Reader, authority, authority, caKey.Public(), caKey)
	ca = write("ca.pem", "CERTIFICATE", caDER, err)
	certDER, err := x509.CreateCertificate(rand.Reader, server, authority, serverKey.Public(), caKey)
	cert = write("cert.pem", "CERTIFICATE", certDER, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(serverKey)
	return ca, cert, write("key.pem", "PRIVATE KEY", keyDER, err)
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// freePort returns a port that is unused at this moment.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
