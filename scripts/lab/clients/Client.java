// SPDX-License-Identifier: BSD-3-Clause

import java.io.FileInputStream;
import java.io.InputStream;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.Base64;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

/** An HTTPS client on JSSE: Client HOST[,HOST...] CAFILE none|in|after SPKI CERT. */
public class Client {
	static X509TrustManager trust(String file) throws Exception {
		KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
		store.load(null, null);
		int n = 0;
		for (Certificate c : CertificateFactory.getInstance("X.509").generateCertificates(new FileInputStream(file)))
			store.setCertificateEntry("ca" + n++, c);
		TrustManagerFactory f = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
		f.init(store);
		return (X509TrustManager) f.getTrustManagers()[0];
	}

	static void check(Certificate c, String pin) throws Exception {
		byte[] h = MessageDigest.getInstance("SHA-256").digest(c.getPublicKey().getEncoded());
		if (!Base64.getEncoder().encodeToString(h).equals(pin))
			throw new CertificateException("pinned key does not match");
	}

	static X509TrustManager pinned(X509TrustManager below, String pin) {
		return new X509TrustManager() {
			public void checkServerTrusted(X509Certificate[] chain, String type) throws CertificateException {
				below.checkServerTrusted(chain, type);
				try {
					check(chain[0], pin);
				} catch (CertificateException e) {
					throw e;
				} catch (Exception e) {
					throw new CertificateException(e);
				}
			}
			public void checkClientTrusted(X509Certificate[] chain, String type) {}
			public X509Certificate[] getAcceptedIssuers() { return below.getAcceptedIssuers(); }
		};
	}

	public static void main(String[] a) throws Exception {
		X509TrustManager tm = trust(a[1]);
		SSLContext ctx = SSLContext.getInstance("TLS");
		ctx.init(null, new TrustManager[] {a[2].equals("in") ? pinned(tm, a[3]) : tm}, null);
		boolean bad = false;
		for (String host : a[0].split(",")) {
			try {
				visit(ctx, host, a);
			} catch (Exception e) {
				System.out.println(e);
				bad = true;
			}
		}
		System.exit(bad ? 1 : 0);
	}

	static void visit(SSLContext ctx, String host, String[] a) throws Exception {
		try (SSLSocket s = (SSLSocket) ctx.getSocketFactory().createSocket(host, 443)) {
			SSLParameters p = s.getSSLParameters();
			p.setEndpointIdentificationAlgorithm("HTTPS");
			s.setSSLParameters(p);
			s.setSoTimeout(10000);
			s.startHandshake();
			if (a[2].equals("after"))
				check(s.getSession().getPeerCertificates()[0], a[3]);
			s.getOutputStream().write(("GET / HTTP/1.0\r\nHost: " + host + "\r\n\r\n").getBytes());
			InputStream in = s.getInputStream();
			for (int c = in.read(); c >= 0; c = in.read())
				System.out.write(c);
			System.out.flush();
		}
	}
}
