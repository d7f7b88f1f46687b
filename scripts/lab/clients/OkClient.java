// SPDX-License-Identifier: BSD-3-Clause

import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;
import okhttp3.CertificatePinner;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;

/** An HTTPS client on OkHttp: OkClient HOST[,HOST...] CAFILE none|after SPKI CERT. The pin is OkHttp's own CertificatePinner. */
public class OkClient {
	public static void main(String[] a) throws Exception {
		X509TrustManager tm = Client.trust(a[1]);
		SSLContext ctx = SSLContext.getInstance("TLS");
		ctx.init(null, new TrustManager[] {tm}, null);
		OkHttpClient.Builder b = new OkHttpClient.Builder().sslSocketFactory(ctx.getSocketFactory(), tm)
			.retryOnConnectionFailure(false);
		if (a[2].equals("after"))
			b.certificatePinner(new CertificatePinner.Builder().add(a[0], "sha256/" + a[3]).build());
		OkHttpClient c = b.build();
		boolean bad = false;
		for (String host : a[0].split(",")) {
			try (Response r = c.newCall(new Request.Builder().url("https://" + host + "/").build()).execute()) {
				System.out.print(r.body().string());
			} catch (java.io.IOException e) {
				System.out.println(e);
				bad = true;
			}
		}
		c.connectionPool().evictAll();
		System.exit(bad ? 1 : 0);
	}
}
