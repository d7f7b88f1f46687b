/* SPDX-License-Identifier: BSD-3-Clause */
/* Results as a table for people or as a JSON object a line for scripts. */
#include "bench_pvt.h"
#include "histogram.h"

static const char *const names[SC_CNT] = {[SC_ESTABLISHED] = "established",
	[SC_HTTPS] = "https",
	[SC_HANDSHAKES] = "handshakes",
	[SC_NEW_FLOWS] = "new-flows",
	[SC_SYN_FLOOD] = "syn-flood",
	[SC_UDP_FLOOD] = "udp-flood"};

const char *
scenario_name(enum scenario s)
{
	return names[s];
}

void
machine_print(const struct options *o)
{
	const char *mem =
		machine.huge ? "huge pages" : "ordinary pages (no huge pages free: see --help)";
	struct counters c;
	bool any;

	counters_open(&c);
	any = counters_any(&c);
	counters_close(&c);
	if (o->json) {
		printf("{\"type\": \"machine\", \"cpu\": \"%s\", \"tsc_ghz\": %.3f, \"cores\": %u, \"huge_pages\": %s, "
		       "\"load\": %.2f, \"counters\": %s, \"time\": %lld}\n",
			machine.cpu, machine.tsc_ghz, machine.cores,
			machine.huge ? "true" : "false", load_average(), any ? "true" : "false",
			(long long)time(NULL));
		return;
	}
	printf("%s, %u cores, %.2f GHz time-stamp counter; packet buffers in %s\n", machine.cpu,
		machine.cores, machine.tsc_ghz, mem);
	printf("load average %.2f%s; cache and TLB counters %s\n\n", load_average(),
		load_average() > 0.5 * machine.cores + 0.5
			? ": THE MACHINE IS BUSY, figures are rough"
			: "",
		any ? "available" : "not available here");
}

static void
json_row(const struct options *o, const struct result *r, const struct result *base)
{
	double n = (double)r->sum.packets, conns = (double)r->sum.conns;

	printf("{\"type\": \"stage\", \"scenario\": \"%s\", \"stage\": \"%s\", \"flows\": %u, \"live\": %u, \"size\": %u, "
	       "\"burst\": %u, \"ring\": %u, \"workers\": %u, \"chains\": %u, \"tls13\": %g, \"zipf\": %g, \"reps\": %u, "
	       "\"packets\": %llu, \"connections\": %llu, \"events\": %llu, \"cycles\": %.2f, \"lowest\": %.2f, "
	       "\"highest\": %.2f, \"baseline\": %.2f, \"ratio\": %.3f, \"mpps\": %.4f, \"gbps\": %.4f, "
	       "\"bytes_per_packet\": %.1f, \"taken\": %.4f, \"load\": %.2f",
		scenario_name(o->scenario), stage_name(r->stage), o->gen.flows, o->gen.live,
		o->gen.frame, o->burst, o->ring, o->workers, o->gen.chains, o->gen.tls13,
		o->gen.zipf, r->reps, (unsigned long long)r->sum.packets,
		(unsigned long long)r->sum.conns, (unsigned long long)r->sum.events, r->median,
		r->lowest, r->highest, base->median, r->median / base->median, r->mpps,
		r->mpps * (double)r->sum.bytes / n * 8 / 1e3,
		(double)r->sum.bytes / n - PSI_GEN_WIRE, r->taken, load_average());
	if (conns > 0)
		printf(", \"cycles_per_connection\": %.0f, \"connections_per_s\": %.0f",
			r->median * n / conns, r->mpps * 1e6 * conns / n);
	if (r->sum.events)
		printf(", \"events_per_s\": %.0f", r->mpps * 1e6 * (double)r->sum.events / n);
	if (r->rss_kb > 0 && o->gen.flows > 0)
		printf(", \"rss_per_flow\": %.1f",
			(double)r->rss_kb * 1024 / o->gen.flows / o->workers);
	for (int c = 0; c < CT_CNT; c++)
		if (r->sum.v[c])
			printf(", \"%s\": %.4f", counter_name((enum counter)c),
				(double)r->sum.v[c] / n);
	puts("}");
}

static void
table_row(const struct options *o, const struct result *r, const struct result *base)
{
	double n = (double)r->sum.packets, conns = (double)r->sum.conns;

	printf("%-16s %8.1f %8.1f %8.1f %8.1f %6.2f %8.2f %8.2f", stage_name(r->stage), r->median,
		r->lowest, r->highest, r->median - base->median, r->median / base->median, r->mpps,
		r->mpps * (double)r->sum.bytes / n * 8 / 1e3);
	if (conns > 0)
		printf(" %10.0f %9.1f", r->median * n / conns, r->mpps * 1e3 * conns / n);
	else
		printf(" %10s %9s", "-", "-");
	if (r->sum.events)
		printf(" %9.1f", r->mpps * 1e3 * (double)r->sum.events / n);
	else
		printf(" %9s", "-");
	printf(" %5.0f%%\n", r->taken * 100);
	if (r->rss_kb > 0 && o->gen.flows > 0)
		printf("%-16s %8.1f bytes a flow that was opened (growth of memory in use)\n", "",
			(double)r->rss_kb * 1024 / o->gen.flows / o->workers);
	for (int c = 0; c < CT_CNT; c++)
		if (r->sum.v[c])
			printf("%-16s %8.3f %s a packet\n", "", (double)r->sum.v[c] / n,
				counter_name((enum counter)c));
}

static void
heading(const struct options *o)
{
	printf("%s", scenario_name(o->scenario));
	if (o->scenario == SC_ESTABLISHED)
		printf(", %u flows, frames of %u bytes%s", o->gen.flows, o->gen.frame,
			o->gen.zipf > 0 ? ", Zipf" : "");
	if (o->scenario == SC_HANDSHAKES)
		printf(", %u distinct chains, %.0f %% TLS 1.3", o->gen.chains, o->gen.tls13 * 100);
	if (o->scenario == SC_HANDSHAKES || o->scenario == SC_HTTPS)
		printf(", %u connections at once", o->gen.live);
	printf("; %u worker%s, bursts of %u; %u repetitions of %.1f M packets, in turns with the baseline\n",
		o->workers, o->workers == 1 ? "" : "s", o->burst, o->reps,
		(double)o->packets / 1e6);
	printf("%-16s %8s %8s %8s %8s %6s %8s %8s %10s %9s %9s %6s\n", "", "cycles", "lowest",
		"highest", "over", "times", "", "Gbit/s", "cycles", "1000", "1000", "CPU");
	printf("%-16s %8s %8s %8s %8s %6s %8s %8s %10s %9s %9s %6s\n", "stage", "/packet", "", "",
		"baseline", "base", "Mpps", "wire", "/conn.", "conn./s", "events/s", "taken");
}

void
report_rows(const struct options *o, const struct result *res, uint32_t cnt)
{
	if (!o->json)
		heading(o);
	for (uint32_t i = 0; i < cnt; i++)
		if (o->json)
			json_row(o, &res[i], &res[0]);
		else
			table_row(o, &res[i], &res[0]);
	if (!o->json)
		puts("the ledger balances in every stage; no packet buffer is missing\n");
	fflush(stdout);
}

#define BAR 50 /* characters */

/* Nanoseconds by powers of two, from the first that has any to the last. */
void
report_histogram(const struct options *o, const struct histogram *h)
{
	uint64_t most = 0;
	const char *sep = "";

	for (unsigned int k = 0; k < 40; k++)
		most = PSI_MAX(most, hist_below(h, k + 1) - hist_below(h, k));
	if (o->json)
		printf("\"histogram_us\": [");
	for (unsigned int k = 0; k < 40; k++) {
		uint64_t n = hist_below(h, k + 1) - hist_below(h, k);
		double from = (double)((uint64_t)1 << k) / 1e3;

		if (hist_below(h, k + 1) == 0 || hist_below(h, k) == h->cnt)
			continue;
		if (o->json)
			printf("%s[%.3f, %.3f, %llu]", sep, from, 2 * from, (unsigned long long)n);
		else
			printf("  %10.1f to %10.1f us %10llu %.*s\n", from, 2 * from,
				(unsigned long long)n, (int)((n * BAR + most - 1) / most),
				"##################################################");
		sep = ", ";
	}
	if (o->json)
		printf("]");
}
