/* SPDX-License-Identifier: BSD-3-Clause */
/* Expected places and values were counted and computed by hand. */
#include "psi_unit.h"

#include "config_pvt.h"

#include <stdio.h>

/* ---- loading a text, keeping what was told ---- */

static char told[32][1024];
static uint32_t told_cnt;

static void
on_problem(void *ctx, const struct psi_config_problem *p)
{
	snprintf(told[told_cnt++ % 32], sizeof(told[0]), "%s:%u:%u: %s", p->origin, p->at.line,
		p->at.col, p->text);
}

static struct psi_config *
load_with(const char *text, size_t len, const struct psi_config_override *ov, uint32_t ov_cnt)
{
	char *copy = (char *)exact(text, len);
	struct psi_config_source src = {.path = "f",
		.text = copy,
		.len = len,
		.ov = ov,
		.ov_cnt = ov_cnt,
		.report = on_problem};
	struct psi_err err = {""};
	struct psi_config *c;

	told_cnt = 0;
	c = psi_config_load(&src, &err);
	CU_ASSERT(!c == (told_cnt > 0));
	CU_ASSERT(!c == (err.text[0] != '\0'));
	free(copy);
	return c;
}

static struct psi_config *
load(const char *text)
{
	return load_with(text, strlen(text), NULL, 0);
}

/* The text is refused, and its only problem is this. */
static void
refused(const char *text, const char *expected)
{
	struct psi_config *c = load(text);

	CU_ASSERT_EQUAL(told_cnt, 1);
	CU_ASSERT_STRING_EQUAL(told[0], expected);
	if (c || told_cnt != 1 || strcmp(told[0], expected) != 0)
		fprintf(stderr, "of <%s>\n  told %u: %s\n  expected: %s\n", text, told_cnt, told[0],
			expected);
	psi_config_close(c);
}

/* ---- the table ---- */

static void
test_defaults(void)
{
	struct psi_config *c = load("");

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(c->ring.size, 67108864);
	CU_ASSERT_EQUAL(c->ring.mode, 0640);
	CU_ASSERT_EQUAL(c->flows.established_timeout_ns, 600000000000ull);
	CU_ASSERT_EQUAL(c->cores.control, PSI_CONFIG_CORE_AUTO);
	CU_ASSERT_EQUAL(c->cores.workers.cnt, 0);
	CU_ASSERT_EQUAL(c->mempool.mbufs, PSI_CONFIG_AUTO);
	CU_ASSERT_PTR_NULL(c->certificates.crls);
	CU_ASSERT_STRING_EQUAL(c->certificates.roots, "/etc/ssl/certs");
	CU_ASSERT_EQUAL(c->ports_cnt, 0);
	CU_ASSERT_DOUBLE_EQUAL(c->correlation.report_confidence, 0.6, 0);
	psi_config_close(c);
}

/* Every default and bound of the table is one that its own parser takes, and the default lies within the bounds. */
static void
test_rows(void)
{
	struct psi_config *c = load("");
	double min, max;

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	for (uint32_t i = 0; i < KEY_CNT + cfg_field_cnt; i++) {
		const struct key *k = i < KEY_CNT ? &cfg_keys[i] : &cfg_fields[i - KEY_CNT];

		CU_ASSERT(k->text[strlen(k->text) - 1] == '.');
		if (k->type == TYPE_CHOICE || k->type == TYPE_BOOL || k->type == TYPE_DATE)
			continue;
		CU_ASSERT(*k->min && *k->max);
		if (cfg_number_parse(k->type, k->def, &min, NULL)) {
			CU_ASSERT(cfg_number_parse(k->type, k->min, &min, NULL));
			CU_ASSERT(cfg_number_parse(k->type, k->max, &max, NULL));
			CU_ASSERT(min < max);
		}
	}
	psi_config_close(c);
}

/* ---- values ---- */

static void
test_sections(void)
{
	struct psi_config *c = load(
		"ring:\n  size: 1GiB\n  mode: 0644\nflows: {linger: 1.5s, max: 2_000_000}\n"
		"cores:\n  control: 0\n  workers: [1, 3-5]\ncertificates:\n  crls: crls.pem\n"
		"correlation: {report_confidence: 95%}\ninterception:\n  ca: a.pem\nevents: {not_tls: yes}\n"
		"idle:\n  policy: busy\nstats:\n");

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(c->ring.size, 1073741824);
	CU_ASSERT_EQUAL(c->ring.mode, 0644);
	CU_ASSERT_EQUAL(c->flows.linger_ns, 1500000000);
	CU_ASSERT_EQUAL(c->flows.max, 2000000);
	CU_ASSERT_EQUAL(c->cores.control, 0);
	CU_ASSERT_EQUAL_FATAL(c->cores.workers.cnt, 4);
	CU_ASSERT_EQUAL(c->cores.workers.v[0], 1);
	CU_ASSERT_EQUAL(c->cores.workers.v[1], 3);
	CU_ASSERT_EQUAL(c->cores.workers.v[3], 5);
	CU_ASSERT_STRING_EQUAL(c->certificates.crls, "crls.pem");
	CU_ASSERT_DOUBLE_EQUAL(c->correlation.report_confidence, 0.95, 1e-12);
	CU_ASSERT_EQUAL_FATAL(c->interception.ca.cnt, 1);
	CU_ASSERT_STRING_EQUAL(c->interception.ca.v[0], "a.pem");
	CU_ASSERT_EQUAL(c->interception.ca.at[0].line, 12);
	CU_ASSERT_EQUAL(c->interception.ca.at[0].col, 7);
	CU_ASSERT(c->events.not_tls);
	CU_ASSERT_EQUAL(c->idle.policy, PSI_CONFIG_IDLE_BUSY);
	psi_config_close(c);
}

static void
test_lists(void)
{
	struct psi_config *c = load("pins:\n"
				    "- name: bank\n"
				    "  hosts: [bank.example, \"*.bank.example\"]\n"
				    "  spki_sha256: sha256/AAAA\n"
				    "  expires: 2027-01-31\n"
				    "  action: exempt\n"
				    "rules:\n"
				    "  - {id: cdn, sni: '/cdn[0-9]/i', ja4: ^t13}\n"
				    "  - {id: w, alpn: h2, action: weight, weight: 0.25}\n"
				    "ports:\n"
				    "  - interface: eth0\n"
				    "  - device: net_af_packet0,iface=eth1\n"
				    "    mtu: 9000\n"
				    "host_lists:\n"
				    "  - {id: l, file: /a, action: ignore}\n");

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL_FATAL(c->pins_cnt, 1);
	CU_ASSERT_EQUAL(c->pins[0].at.line, 2);
	CU_ASSERT_EQUAL(c->pins[0].at.col, 3);
	CU_ASSERT_EQUAL_FATAL(c->pins[0].hosts.cnt, 2);
	CU_ASSERT_STRING_EQUAL(c->pins[0].hosts.v[1], "*.bank.example");
	CU_ASSERT_EQUAL(c->pins[0].hosts.at[1].line, 3);
	CU_ASSERT_EQUAL(c->pins[0].hosts.at[1].col, 25);
	/* date -u -d 2027-01-31 +%s */
	CU_ASSERT_EQUAL(c->pins[0].expires_s, 1801353600);
	CU_ASSERT_EQUAL(c->pins[0].action, PSI_PIN_EXEMPT);
	CU_ASSERT_EQUAL_FATAL(c->rules_cnt, 2);
	CU_ASSERT_STRING_EQUAL(c->rules[0].pattern[PSI_RULE_SNI].text, "/cdn[0-9]/i");
	CU_ASSERT_EQUAL(c->rules[0].pattern[PSI_RULE_SNI].at.col, 20);
	CU_ASSERT_STRING_EQUAL(c->rules[0].pattern[PSI_RULE_JA4].text, "^t13");
	CU_ASSERT_PTR_NULL(c->rules[0].pattern[PSI_RULE_SAN].text);
	CU_ASSERT_DOUBLE_EQUAL(c->rules[0].weight, 1, 0);
	CU_ASSERT_DOUBLE_EQUAL(c->rules[1].weight, 0.25, 0);
	CU_ASSERT_EQUAL_FATAL(c->ports_cnt, 2);
	CU_ASSERT_STRING_EQUAL(c->ports[0].interface, "eth0");
	CU_ASSERT_STRING_EQUAL(c->ports[0].name, "eth0");
	CU_ASSERT_EQUAL(c->ports[0].mtu, 1500);
	CU_ASSERT(c->ports[0].promiscuous);
	CU_ASSERT_EQUAL(c->ports[1].mtu, 9000);
	CU_ASSERT_EQUAL(c->host_lists[0].action, PSI_RULE_IGNORE);
	psi_config_close(c);
}

/* ---- what is wrong, and where ---- */

static void
test_keys(void)
{
	refused("ring:\n  sise: 1M\n",
		"f:2:3: ring.sise: there is no such key; did you mean ring.size?");
	refused("rnig: {}\n", "f:1:1: rnig: there is no such section; did you mean ring?");
	refused("ring.size: 4M\n",
		"f:1:1: ring.size: expected \"ring:\" and, indented in the next line, \"size: ...\"");
	refused("ring: {interval: 1s}\n",
		"f:1:8: ring.interval: there is no such key; did you mean stats.interval?");
	refused("ring:\n  size: 1M\n  size: 2M\n",
		"f:3:3: ring.size: given twice; the first is in line 2");
	refused("ring: {}\nring: {}\n", "f:2:1: ring: given twice; the first is in line 1");
	refused("ring: 5\n",
		"f:1:7: ring: a value; expected its keys, each in a line of its own, indented");
	refused("pins: {}\n",
		"f:1:7: pins: a mapping of keys; expected a list, each entry begun by \"- \"");
	refused("pins: [a]\n", "f:1:8: pins[]: a value; expected \"name: ...\" and other keys");
	refused("pins:\n- {hosts: a, spki_sha256: b}\n",
		"f:2:3: pins[]: no name; expected \"name: ...\", a text");
	refused("- a\n", "f:1:1: a list; expected sections such as \"ring:\"");
}

static void
test_values(void)
{
	refused("ring:\n  size: 64\n",
		"f:2:9: ring.size: 64 has no unit: write B, KiB, MiB, GiB or TiB after the number");
	refused("ring:\n  size: 64Mb\n",
		"f:2:9: ring.size: 'Mb' is no unit: write B, KiB, MiB, GiB or TiB after the number");
	refused("ring:\n  size: 512K\n",
		"f:2:9: ring.size: 512K is too small; expected 1MiB to 1TiB");
	refused("flows: {linger: 2}\n",
		"f:1:17: flows.linger: 2 has no unit: write ns, us, ms, s, m, h or d after the number");
	refused("flows: {max: many}\n", "f:1:14: flows.max: 'many'; expected a whole number");
	refused("flows: {max: '100'}\n",
		"f:1:14: flows.max: a text in quotes; expected a whole number");
	refused("flows: {max: [1]}\n", "f:1:14: flows.max: a list; expected a whole number");
	refused("flows: {max: 31}\n",
		"f:1:14: flows.max: 31 is too small; expected 32 to 268435456 flows");
	refused("flows: {max: }\n",
		"f:1:14: flows.max: no value; expected a whole number, or leave the key out");
	refused("idle: {policy: buzy}\n",
		"f:1:16: idle.policy: 'buzy'; expected busy, pause, sleep or interrupt; did you mean busy?");
	refused("events: {not_tls: 1}\n", "f:1:19: events.not_tls: '1'; expected true or false");
	refused("ring: {mode: 640}\n",
		"f:1:14: ring.mode: '640'; expected a file mode such as 0640");
	refused("ring: {path: \"a\\0b\"}\n", "f:1:14: the character NUL; expected text");
	refused("ring: {path: \"a\\eb\"}\n",
		"f:1:14: ring.path: a byte 0x1b that is no character; expected a path");
	refused("cores: {workers: 5-2}\n",
		"f:1:18: cores.workers: '5-2'; expected core numbers such as 3, 2-5 or [2, 4-6], or auto, each 0 to 1023");
	refused("pins: [{name: a, hosts: b, spki_sha256: c, expires: 2027-02-29}]\n",
		"f:1:53: pins[].expires: there is no day 2027-02-29");
}

static void
test_yaml(void)
{
	refused("ring:\n\tsize: 1M\n", "f:2:1: a tab; YAML is indented with spaces only");
	refused("pins:\n- name: x\n  hosts: [*.a.example]\n",
		"f:3:11: a value that begins with * or & needs quotes");
	refused("a: &x 1\nb: *x\n",
		"f:2:4: a value that begins with * needs quotes (aliases are not taken)");
	refused("ring: {size: !!str 1M}\n",
		"f:1:14: tags (!) are not taken; put a value that begins with ! in quotes");
	refused("ring: {}\n---\nring: {}\n", "f:2:1: a second document; expected one");
	refused("ring:\n  path: a: b\n",
		"f:2:10: a second ':' in one line, or a line indented deeper than the one above it; expected \"key: value\", with quotes around a value that holds ': '");
	refused("ring:\n  path: 'a\n", "f:2:9: a quote that is not closed");
	refused("ring: [1\n",
		"f:1:7: a [ whose list goes wrong before its ]; expected entries with commas between them");
	refused("ring:\n    size: 1M\n  mode: 0600\n",
		"f:3:3: expected \"key: value\" or the end of this part: this line is indented unlike the others of its part, or a quote or bracket above it is wrong");
	refused("ring:\n  path: \xff\n", "f:2:9: byte 0xff is not UTF-8; expected text in UTF-8");
	refused("# \xc3\xa9 \xc0\x80\n", "f:1:5: byte 0xc0 is not UTF-8; expected text in UTF-8");
	refused("ring:\n  path: \x07\n", "f:2:9: control character U+0007; expected text");
	refused("[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]\n",
		"f:1:17: too many lists and mappings within one another");
	psi_config_close(load_with("a\0b", 3, NULL, 0));
	CU_ASSERT_STRING_EQUAL(told[0], "f:1:2: control character U+0000; expected text");
}

/* What one key alone does not show. */
static void
test_together(void)
{
	refused("ports:\n- mtu: 1500\n",
		"f:2:3: ports: neither device nor interface; expected one of them");
	refused("ports:\n- {device: a, interface: b}\n",
		"f:2:3: ports: both device and interface; expected one of them");
	refused("ports: [{interface: a}, {interface: a}]\n",
		"f:1:25: ports: a second entry is called 'a'");
	refused("rules: [{id: a}]\n",
		"f:1:9: rules: no pattern; expected one of sni, subject, issuer, san, alpn, ja3, ja4 in 'a'");
	refused("rules: [{id: a, sni: b, weight: 2}]\n",
		"f:1:9: rules: a weight without \"action: weight\" in 'a'");
	refused("pins: [{name: a, hosts: b, spki_sha256: c, action: unpinned}]\n",
		"f:1:8: pins: pins where \"action: unpinned\" says that there are none in 'a'");
	refused("pins: [{name: a, hosts: b}]\n",
		"f:1:8: pins: no pin; expected one of spki_sha256, backup_spki_sha256, ca_spki_sha256, cert_sha256 in 'a'");
	refused("flows: {max: 1000}\n",
		"f:1:14: flows.connections is 262144, and flows.max, of which it is a part, 1000");
}

static void
test_many(void)
{
	char text[4096] = "flows: {";

	for (int i = 0; i < 30; i++)
		strcat(text, "zzzzz: 1, ");
	strcat(text, "}\n");
	CU_ASSERT_PTR_NULL(load(text));
	CU_ASSERT_EQUAL(told_cnt, PSI_CONFIG_ERROR_MAX + 1);
	CU_ASSERT_STRING_EQUAL(told[19], "f:1:199: flows.zzzzz: there is no such key");
	CU_ASSERT_STRING_EQUAL(
		told[20], "f:1:209: more is wrong from here on; mend what was told first");
}

/* ---- environment and command line ---- */

static void
test_overrides(void)
{
	static const struct psi_config_override ov[] = {
		{"ring.size=2MiB", false},
		{"ring.size=4MiB", false},
		{"PINSIGHT_RING_SIZE=8MiB", true},
		{"PINSIGHT_PINS_LEARN_ENABLED=true", true},
		{"PINSIGHT_CORES_WORKERS=2,4-5", true},
		{"interception.ca=a.pem,b.pem", false},
		{"eal.args=[\"-l\", \"0,1\"]", false},
		{"ports=[{interface: eth0, mtu: 9000}]", false},
		{"certificates.roots=\"\"", false},
	};
	const char *text = "ring: {size: 1MiB}\nports: [{interface: eth1}]\n";
	struct psi_config *c = load_with(text, strlen(text), ov, PSI_COUNT(ov));

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(c->ring.size, 4194304);
	CU_ASSERT(c->pins_learn.enabled);
	CU_ASSERT_EQUAL(c->cores.workers.cnt, 3);
	CU_ASSERT_EQUAL_FATAL(c->interception.ca.cnt, 2);
	CU_ASSERT_STRING_EQUAL(c->interception.ca.v[1], "b.pem");
	CU_ASSERT_EQUAL(c->interception.ca.at[1].line, 0);
	CU_ASSERT_EQUAL_FATAL(c->eal.args.cnt, 2);
	CU_ASSERT_STRING_EQUAL(c->eal.args.v[1], "0,1");
	CU_ASSERT_EQUAL_FATAL(c->ports_cnt, 1);
	CU_ASSERT_STRING_EQUAL(c->ports[0].interface, "eth0");
	CU_ASSERT_STRING_EQUAL(c->certificates.roots, "");
	psi_config_close(c);
}

static void
refused_override(const char *text, bool env, const char *expected)
{
	struct psi_config_override ov = {text, env};

	psi_config_close(load_with("", 0, &ov, 1));
	CU_ASSERT_EQUAL(told_cnt, 1);
	CU_ASSERT_STRING_EQUAL(told[0], expected);
	if (strcmp(told[0], expected) != 0)
		fprintf(stderr, "of <%s>\n  told: %s\n  expected: %s\n", text, told[0], expected);
}

static void
test_overrides_wrong(void)
{
	refused_override("ring.size", false,
		"--set ring.size:0:0: no value; expected KEY=VALUE, such as ring.size=64MiB");
	refused_override("ring.size=", false,
		"--set ring.size:0:0: ring.size: no value; expected a size such as 64MiB, 512K or 4096B, or leave the key out");
	refused_override("ring.sizes=1M", false,
		"--set ring.sizes:0:0: ring.sizes: there is no such key; did you mean ring.size?");
	refused_override("PINSIGHT_RING_SIZE=64", true,
		"environment PINSIGHT_RING_SIZE:0:0: ring.size: 64 has no unit: write B, KiB, MiB, GiB or TiB after the number");
	refused_override("PINSIGHT_PINS_LEARN_STOR=x", true,
		"environment PINSIGHT_PINS_LEARN_STOR:0:0: pins_learn.stor: there is no such key; did you mean pins_learn.store?");
	refused_override("ports=[{", false, "--set ports:0:0: a value is missing here");
	refused_override("log.level=\xff", false,
		"--set log.level:0:0: log.level: '\xff'; expected error, warn, info or debug");
	refused_override("ring.path=a\xff", false,
		"--set ring.path:0:0: ring.path: a byte 0xff that is no character; expected a path");
}

static void
test_env(void)
{
	static char env[][32] = {"HOME=/", "PINSIGHT_RING_SIZE=1M", "PINSIGHT_EVENT_LIB=x",
		"PINSIGHT_FLOWS_MAXX=1", "PINSIGHT_PORTS=[]", "XPINSIGHT_RING_SIZE=1", "PINSIGHT_"};
	char *list[PSI_COUNT(env) + 1] = {NULL};
	struct psi_config_override ov[2];

	for (size_t i = 0; i < PSI_COUNT(env); i++)
		list[i] = env[i];
	CU_ASSERT_EQUAL(psi_config_env(list, ov, 2), 3);
	CU_ASSERT_STRING_EQUAL(ov[0].text, "PINSIGHT_RING_SIZE=1M");
	CU_ASSERT_STRING_EQUAL(ov[1].text, "PINSIGHT_FLOWS_MAXX=1");
	CU_ASSERT(ov[0].env && ov[1].env);
}

/* ---- an open config ---- */

static void
test_err(void)
{
	static const struct psi_config_override ov = {"stats.interval=1m", false};
	const char *text =
		"certificates:\n  roots: none.pem\npins:\n- {name: a, hosts: [b, c], spki_sha256: d}\n";
	struct psi_config *c = load_with(text, strlen(text), &ov, 1);
	struct psi_err err;

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(
		psi_config_err(c, &c->certificates.roots, &err, -2, "cannot read %d", 7), -2);
	CU_ASSERT_STRING_EQUAL(err.text, "f:2:10: certificates.roots: cannot read 7");
	psi_config_err(c, &c->stats.interval_ns, &err, 0, "x");
	CU_ASSERT_STRING_EQUAL(err.text, "--set stats.interval: stats.interval: x");
	psi_config_err(c, &c->ring.size, &err, 0, "x");
	CU_ASSERT_STRING_EQUAL(err.text, "ring.size: x");
	psi_config_err(c, &c->pins, &err, 0, "x");
	CU_ASSERT_STRING_EQUAL(err.text, "f:4:1: pins: x");
	psi_config_err_at(c, c->pins[0].hosts.at[1], &err, 0, "x");
	CU_ASSERT_STRING_EQUAL(err.text, "f:4:24: x");
	psi_config_close(c);
}

static void
test_diff(void)
{
	struct psi_config *a = load("ring: {size: 1MiB}\nrules: [{id: a, sni: b}]\n");
	struct psi_config *b =
		load("ring: {size: 1024K}\nrules: [{id: c, sni: b}]\nlog: {level: debug}\n");
	struct psi_config *c =
		load("ring: {size: 2MiB}\nports: [{interface: e}]\ncores: {workers: 1-2}\n");
	char text[64];

	CU_ASSERT_EQUAL(psi_config_diff(a, b, text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "");
	CU_ASSERT_EQUAL(psi_config_diff(a, c, text, sizeof(text)), 3);
	CU_ASSERT_STRING_EQUAL(text, "cores.workers, ring.size, ports");
	CU_ASSERT_EQUAL(psi_config_diff(a, c, text, 8), 3);
	CU_ASSERT_STRING_EQUAL(text, "cores.w");
	CU_ASSERT_EQUAL(psi_config_diff(a, c, NULL, 0), 3);
	psi_config_close(a);
	psi_config_close(b);
	psi_config_close(c);
}

/* What is printed is read as the same, down to what YAML would take for something else. */
static void
test_print(void)
{
	const char *text =
		"ring: {size: 3MiB, path: \"/a: \\\\ \\\"#\\u2028\xc3\xa9\", mode: 0600}\n"
		"flows: {linger: 1500ms, closed_timeout: 90s}\n"
		"correlation: {report_confidence: 0.123}\ncores: {workers: [1, 3-4], control: 2}\n"
		"pins: [{name: 'no', hosts: ['*.a', b], cert_sha256: x, expires: 2028-02-29},\n"
		"  {name: z, hosts: y, spki_sha256: x}]\n"
		"rules: [{id: '1', sni: '/a\"/', action: weight, weight: 0.1}]\n";
	struct psi_config *a = load(text), *b;
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT(psi_config_print(a, f));
	fclose(f);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\n  size: 3MiB  # line 1\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\n  linger: 1500ms  # line 2\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\n  closed_timeout: 90s  # line 2\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\n  report_confidence: 0.123  # line 3\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\n    expires: 2028-02-29\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\n  max: 1048576\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\n  # crls: none\n"));
	CU_ASSERT_EQUAL(psi_config_changed(a), 10);
	b = load(out);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT_EQUAL(psi_config_changed(b), 10);
	CU_ASSERT_EQUAL(psi_config_diff(a, b, NULL, 0), 0);
	CU_ASSERT_STRING_EQUAL(b->ring.path, a->ring.path);
	CU_ASSERT_STRING_EQUAL(b->rules[0].sni.text, "/a\"/");
	CU_ASSERT_EQUAL(b->pins[0].expires_s, a->pins[0].expires_s);
	CU_ASSERT_DOUBLE_EQUAL(b->rules[0].weight, 0.1, 0);
	free(out);
	psi_config_close(a);
	psi_config_close(b);
}

/* A path means the same wherever the program is started. */
static void
test_folder(void)
{
	static const struct psi_config_override ov = {"certificates.crls=c.pem", false};
	static const char text[] = "certificates: {roots: r}\ninterception: {ca: [a, /b]}\n";
	struct psi_config_source src = {.path = "/etc/p/f.yaml",
		.text = text,
		.len = sizeof(text) - 1,
		.ov = &ov,
		.ov_cnt = 1};
	struct psi_config *c = psi_config_load(&src, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_STRING_EQUAL(c->certificates.roots, "/etc/p/r");
	CU_ASSERT_STRING_EQUAL(c->interception.ca.v[0], "/etc/p/a");
	CU_ASSERT_STRING_EQUAL(c->interception.ca.v[1], "/b");
	CU_ASSERT_STRING_EQUAL(c->certificates.crls, "c.pem");
	psi_config_close(c);
	CU_ASSERT_PTR_NULL(psi_config_open("/nonexistent/f", NULL, 0, NULL));
}

/* Whatever the first n bytes of a file are, they are read without harm; ASan looks on. */
static void
test_cuts(void)
{
	const char *text =
		"ring:\n  size: 1M # \xc3\xa9\npins: [{name: \"a\", hosts: [b, '*.c']}]\n";

	for (size_t n = 0; n <= strlen(text); n++)
		psi_config_close(load_with(text, n, NULL, 0));
	CU_ASSERT(told_cnt > 0); /* whole, it has a set without pins */
}

static struct CU_TestInfo tests[] = {
	{"defaults", test_defaults},
	{"rows", test_rows},
	{"sections", test_sections},
	{"lists", test_lists},
	{"keys", test_keys},
	{"values", test_values},
	{"yaml", test_yaml},
	{"together", test_together},
	{"many problems", test_many},
	{"overrides", test_overrides},
	{"overrides that are wrong", test_overrides_wrong},
	{"environment", test_env},
	{"errors of others", test_err},
	{"differences", test_diff},
	{"print", test_print},
	{"folder", test_folder},
	{"cut at every byte", test_cuts},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "config", .pTests = tests},
	CU_SUITE_INFO_NULL,
};
