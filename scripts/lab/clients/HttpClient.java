// SPDX-License-Identifier: BSD-3-Clause

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;

/** An HTTP/2 client on java.net.http: HttpClient HOST[,HOST...] CAFILE none|in SPKI CERT. */
public class HttpClient {
	public static void main(String[] a) throws Exception {
		X509TrustManager tm = Client.trust(a[1]);
		SSLContext ctx = SSLContext.getInstance("TLS");
		ctx.init(null, new TrustManager[] {a[2].equals("in") ? Client.pinned(tm, a[3]) : tm}, null);
		java.net.http.HttpClient c = java.net.http.HttpClient.newBuilder().sslContext(ctx)
			.connectTimeout(Duration.ofSeconds(10)).build();
		boolean bad = false;
		for (String host : a[0].split(",")) {
			try {
				HttpRequest r = HttpRequest.newBuilder(URI.create("https://" + host + "/")).timeout(Duration.ofSeconds(10)).build();
				System.out.print(c.send(r, HttpResponse.BodyHandlers.ofString()).body());
			} catch (IOException e) {
				System.out.println(e);
				bad = true;
			}
		}
		System.exit(bad ? 1 : 0);
	}
}
