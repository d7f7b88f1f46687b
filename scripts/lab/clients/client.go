// SPDX-License-Identifier: BSD-3-Clause

// An HTTPS client on Go's own TLS: client HOST CAFILE none|in|after SPKI CERT
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
	"time"
)

func main() {
	host, mode, pin := os.Args[1], os.Args[3], os.Args[4]
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(os.Args[2])
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		fail(fmt.Errorf("no roots in %s", os.Args[2]))
	}
	check := func(c *x509.Certificate) error {
		h := sha256.Sum256(c.RawSubjectPublicKeyInfo)
		if base64.StdEncoding.EncodeToString(h[:]) != pin {
			return errors.New("pinned key does not match")
		}
		return nil
	}
	conf := &tls.Config{RootCAs: roots, ServerName: host}
	if mode == "in" {
		conf.VerifyConnection = func(s tls.ConnectionState) error { return check(s.PeerCertificates[0]) }
	}
	conn, err := tls.Dial("tcp", host+":443", conf)
	fail(err)
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if mode == "after" {
		if err := check(conn.ConnectionState().PeerCertificates[0]); err != nil {
			conn.Close()
			fail(err)
		}
	}
	fmt.Fprintf(conn, "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", host)
	io.Copy(os.Stdout, conn)
	conn.Close()
}

func fail(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
