// SPDX-License-Identifier: BSD-3-Clause

// An HTTPS client on Go's own TLS: client HOST[,HOST...] CAFILE none|in|after SPKI CERT
// Pins are checked in the handshake's callback (in) or on the finished connection (after).
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

func main() {
	mode, pin := os.Args[3], os.Args[4]
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(os.Args[2])
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		fmt.Println("no roots in", os.Args[2])
		os.Exit(1)
	}
	check := func(c *x509.Certificate) error {
		h := sha256.Sum256(c.RawSubjectPublicKeyInfo)
		if base64.StdEncoding.EncodeToString(h[:]) != pin {
			return errors.New("pinned key does not match")
		}
		return nil
	}
	bad := 0
	for _, host := range strings.Split(os.Args[1], ",") {
		if err := visit(host, roots, mode, check); err != nil {
			fmt.Println(err)
			bad = 1
		}
	}
	os.Exit(bad)
}

func visit(host string, roots *x509.CertPool, mode string, check func(*x509.Certificate) error) error {
	conf := &tls.Config{RootCAs: roots, ServerName: host}
	if mode == "in" {
		conf.VerifyConnection = func(s tls.ConnectionState) error { return check(s.PeerCertificates[0]) }
	}
	conn, err := tls.Dial("tcp", host+":443", conf)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if mode == "after" {
		if err := check(conn.ConnectionState().PeerCertificates[0]); err != nil {
			return err
		}
	}
	fmt.Fprintf(conn, "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", host)
	io.Copy(os.Stdout, conn)
	return nil
}
