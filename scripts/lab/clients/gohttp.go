// SPDX-License-Identifier: BSD-3-Clause

// A client on Go's net/http with HTTP/2: gohttp HOST[,HOST...] CAFILE none|in SPKI CERT. The pin is checked in
// VerifyPeerCertificate.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(os.Args[2])
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		fmt.Println("no roots in", os.Args[2])
		os.Exit(1)
	}
	conf := &tls.Config{RootCAs: roots}
	if os.Args[3] == "in" {
		conf.VerifyPeerCertificate = func(raw [][]byte, _ [][]*x509.Certificate) error {
			c, err := x509.ParseCertificate(raw[0])
			if err != nil {
				return err
			}
			h := sha256.Sum256(c.RawSubjectPublicKeyInfo)
			if base64.StdEncoding.EncodeToString(h[:]) != os.Args[4] {
				return errors.New("pinned key does not match")
			}
			return nil
		}
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true}}
	bad := 0
	for _, host := range strings.Split(os.Args[1], ",") {
		r, err := client.Get("https://" + host + "/")
		if err != nil {
			fmt.Println(err)
			bad = 1
			continue
		}
		io.Copy(os.Stdout, r.Body)
		r.Body.Close()
	}
	os.Exit(bad)
}
