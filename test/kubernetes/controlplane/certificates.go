package controlplane

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
	"time"
)

// certificates are files in PEM.
type certificates struct {
	authority, server, serverKey, client, clientKey string
	// serviceAccountKey signs the tokens of ServiceAccounts.
	serviceAccountKey string
}

// issuer signs certificates.
type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	dir         string
	serial      int64
}

// makeCertificates writes a new authority into dir, and what it signs: a certificate of the server, for 127.0.0.1, and
// one of a client that may do everything.
func makeCertificates(dir string) (files certificates, err error) {
	issuer := &issuer{dir: dir}
	if files.authority, err = issuer.makeAuthority(); err != nil {
		return files, err
	}
	files.server, files.serverKey, err = issuer.issue("server", &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		DNSNames:    []string{"localhost", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return files, err
	}
	files.client, files.clientKey, err = issuer.issue("client", &x509.Certificate{
		Subject:     pkix.Name{CommonName: "administrator", Organization: []string{"system:masters"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return files, err
	}
	files.serviceAccountKey = filepath.Join(dir, "service-accounts.key")
	_, err = writeKey(files.serviceAccountKey)
	return files, err
}

func (i *issuer) makeAuthority() (path string, err error) {
	if i.key, err = writeKey(filepath.Join(i.dir, "authority.key")); err != nil {
		return "", err
	}
	i.certificate = &x509.Certificate{
		Subject: pkix.Name{CommonName: "test"}, KeyUsage: x509.KeyUsageCertSign,
		IsCA: true, BasicConstraintsValid: true,
	}
	return i.sign("authority", i.certificate, &i.key.PublicKey)
}

// issue writes a certificate and its key.
func (i *issuer) issue(name string, template *x509.Certificate) (certificate, key string, err error) {
	key = filepath.Join(i.dir, name+".key")
	private, err := writeKey(key)
	if err != nil {
		return "", "", err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	certificate, err = i.sign(name, template, &private.PublicKey)
	return certificate, key, err
}

func (i *issuer) sign(name string, template *x509.Certificate, public *ecdsa.PublicKey) (path string, err error) {
	i.serial++
	template.SerialNumber = big.NewInt(i.serial)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	content, err := x509.CreateCertificate(rand.Reader, template, i.certificate, public, i.key)
	if err != nil {
		return "", err
	}
	path = filepath.Join(i.dir, name+".crt")
	return path, writePEM(path, "CERTIFICATE", content)
}

func writeKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	content, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePEM(path, "EC PRIVATE KEY", content)
}

func writePEM(path, kind string, content []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600)
}
