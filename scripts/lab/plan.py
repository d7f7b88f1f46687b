# SPDX-License-Identifier: BSD-3-Clause
"""Who does what in a run of the laboratory, and what each connection thereby is: all of it fixed before anything runs.

A device has an address, trusts the inspection CA or does not, and has several programs, a browser and a few applications
that pin the key of their own host. `compared` of an application says what an operator could hold against it:
  device  a browser on the same device reaches that host
  office  a browser on another device does
  stack   nobody else goes there, but the same program reaches other hosts from the same device
  none    nobody else goes there, and the program goes nowhere else: nothing to compare with
"""
from dataclasses import dataclass, field

from pinlab import NETS

COMMON = ["www.shop.example", "static.news.example", "mail.office.example", "chat.social.example", "wiki.office.example",
          "maps.travel.example", "video.stream.example", "docs.cloud.example", "login.idp.example", "cdn.assets.example",
          "feed.weather.example", "files.share.example"]
VENDORS = ["bank", "taxi", "pay", "game", "health", "vault", "music", "fly", "post", "meet", "learn", "home", "car", "food",
           "sport", "photo", "rail", "energy", "ticket", "hotel", "garden", "lock", "radio", "paint", "stock", "survey",
           "camera", "notes", "parcel", "union", "clinic", "school", "market", "film", "ferry", "tools"]
FAULTS = ["expired", "future", "selfsigned", "wrongname", "nochain", "wronguse", "revoked"]
STAGES = ["close-hello", "reset-hello", "reset-flight", "close-flight", "reset-finish", "close-finish"]
PORTAL = "portal.office.example"
OTHERS = [f + ".fault.example" for f in FAULTS] + [s + ".stage.example" for s in STAGES] + [
    "cipher.example", "version.example", "mtls.example", PORTAL]
REFUSALS = ["client_rejected", "bad_certificate", "certificate_unknown", "unknown_ca"]

# cause: (truth, as right as that, what one flow alone may show besides)
CAUSES = {
    "ok": ("normal", [], []),
    "pin-match": ("normal", [], []),
    "resumed": ("normal", [], []),
    "spare": ("normal", ["incomplete", "aborted"], []),
    "health-check": ("normal", [], []),
    "cancelled": ("aborted", ["incomplete", "client_rejected"], []),
    "pin": ("pinned", [], REFUSALS),
    "pin-rotated": ("pinned", [], REFUSALS),
    "unknown-ca": ("unknown_ca", ["bad_certificate", "certificate_unknown"], ["client_rejected"]),
    "expired": ("certificate_expired", ["bad_certificate", "certificate_unknown"], ["client_rejected"]),
    "future": ("bad_certificate", ["certificate_unknown", "certificate_expired"], ["client_rejected"]),
    "selfsigned": ("unknown_ca", ["bad_certificate", "certificate_unknown"], ["client_rejected"]),
    "wrongname": ("bad_certificate", ["certificate_unknown"], ["client_rejected"]),
    "nochain": ("unknown_ca", ["bad_certificate", "certificate_unknown"], ["client_rejected"]),
    "wronguse": ("certificate_unsupported", ["bad_certificate", "certificate_unknown"], ["client_rejected"]),
    "revoked": ("certificate_revoked", ["bad_certificate", "certificate_unknown"], ["client_rejected"]),
    "no-common-cipher": ("handshake_failure", [], []),
    "no-common-version": ("handshake_failure", [], []),
    "client-certificate": ("client_certificate", ["handshake_failure"], []),
    "close-hello": ("aborted", ["incomplete"], []),
    "reset-hello": ("aborted", ["incomplete"], []),
    "reset-flight": ("aborted", ["incomplete"], []),
    "close-flight": ("aborted", ["incomplete"], []),
    # behind the client's Finished the server gives up: the client refused nothing
    "reset-finish": ("aborted", ["incomplete", "normal"], []),
    "close-finish": ("aborted", ["incomplete", "normal"], []),
}
GOOD = {"ok", "pin-match", "resumed"}
BAD_HOSTS = set(FAULTS) - {"revoked"}  # every client here refuses these; only some ask for revocation


@dataclass(eq=False)
class Device:
    number: int
    trusts: bool
    family: int = 4
    programs: list = field(default_factory=list)
    apps: list = field(default_factory=list)
    browser: object = None
    strangers: list = field(default_factory=list)  # programs with a CA list of their own
    note: str = ""

    @property
    def address(self):
        return NETS[self.family][0] % self.number


@dataclass(eq=False)
class App:
    client: object
    mode: str
    host: str
    compared: str
    rotated: bool = False


@dataclass(eq=False)
class Job:
    device: Device
    client: object  # None: check.py
    hosts: list
    ca: str
    cause: str = ""  # empty: it follows from the host and the CA
    mode: str = "none"
    app: App = None
    what: str = ""
    page: str = ""
    pinned_key: str = ""
    times: int = 1  # started again at once, as an application that tries once more
    ports: range = None
    exit_status: int = 0
    output: str = ""


class Plan:
    """name, path: who is in between; devices: how many with the CA; without: without it; exempt: how many hosts are not
    intercepted; mishaps: bad hosts visited by each program; nat: so many addresses have two devices behind them, one without
    the CA."""

    def __init__(self, name, tls, path, clients, rnd, devices=18, without=4, exempt=3, mishaps=1, nat=0):
        self.name, self.tls, self.path, self.clients, self.rnd = name, tls, path, clients, rnd
        self.tools = [c for c in clients if not c.browser]
        self.browsers = [c for c in clients if c.browser]
        self.mishaps, self.nat = mishaps, nat
        self._make_apps(devices)
        self._make_hosts(exempt)
        self._make_devices(devices, without)
        self.jobs, self.pages = [], {}
        for d in self.devices:
            self._fill(d)
        self._visits_elsewhere()
        rnd.shuffle(self.jobs)

    # -- who is there -------------------------------------------------------------------------------------------------
    def _make_apps(self, devices):
        ways = [(c, m) for c in self.tools for m in list(c.pins) + ["ca"]]
        if len(self.browsers) > 1:
            ways += [(c, "after") for c in self.browsers if "after" in c.pins]
        self.rnd.shuffle(ways)
        ways = ways[:max(4, devices * 3 // 2)]
        names = self.rnd.sample(VENDORS, min(len(VENDORS), len(ways)))
        compared = (["device"] * 6 + ["office"] * 2 + ["stack"] * 2 + ["none"]) * (len(ways) // 11 + 1)
        self.apps = [App(c, m, app_host(n), how)
                     for (c, m), n, how in zip(ways, names, compared)]
        if self.path == "direct":
            for a in self.apps[::4]:
                a.rotated = a.mode != "ca"

    def _make_hosts(self, exempt):
        names = COMMON + [a.host for a in self.apps] + OTHERS
        self.hosts = {n: 5 + i for i, n in enumerate(names)}
        self.exempt = set(self.rnd.sample(COMMON, exempt)) | {a.host for a in self.apps[3:3 + exempt // 2]}
        self.intercepted = [] if self.path == "direct" else [
            n for n in COMMON + [a.host for a in self.apps] if n not in self.exempt]

    def _make_devices(self, devices, without):
        n = 10
        self.devices = []
        for i in range(devices + without):
            d = Device(n + i, trusts=i < devices, family=6 if i % 5 == 2 else 4)
            chromium = [b for b in self.browsers if b.name == "chromium"]
            d.browser = chromium[0] if chromium and i % 4 == 0 else next(
                (b for b in self.browsers if b.name != "chromium"), None)
            self.devices.append(d)
        at_work = [d for d in self.devices if d.trusts]
        for k, a in enumerate(self.apps):
            places = self.rnd.sample(at_work, len(at_work))
            # a browser that is the application's own program would tell the two apart by nothing
            places = [d for d in places if d.browser is not a.client]
            for d in places[:1 if a.compared == "none" else 2]:
                d.apps.append(a)
        for d in at_work:
            alone = [a.client for a in d.apps if a.compared == "none"]
            d.apps = [a for a in d.apps if a.compared == "none" or a.client not in alone]
            d.programs = list(dict.fromkeys(a.client for a in d.apps if a.compared != "none" and a.client in self.tools))
            others = [c for c in self.tools if c not in d.programs and c not in alone]
            d.programs += self.rnd.sample(others, min(2, len(others)))
        for d in self.devices:
            if not d.trusts:
                d.programs = self.rnd.sample(self.tools, min(4, len(self.tools)))
        # two devices behind one address: the same programs, with the CA on the one and without it on the other
        for d in at_work[3:3 + self.nat]:
            d.strangers = d.programs[:2]
        # on some devices that trust the CA one program brings its own list and so trusts it nowhere
        for d in [] if self.nat else at_work[1::5]:
            free = [c for c in self.tools if c not in d.programs and c not in [a.client for a in d.apps]]
            d.strangers = free[:1] if self.path != "direct" else []

    # -- what they do -------------------------------------------------------------------------------------------------
    def _add(self, device, client, hosts, ca, **more):
        if client is not None and not client.many:
            for h in hosts:
                self.jobs.append(Job(device, client, [h], ca, **more))
        elif hosts:
            self.jobs.append(Job(device, client, list(hosts), ca, **more))

    def _browse(self, d, hosts):
        if d.browser is None:
            return
        page = ""
        if d.browser.name == "chromium":
            page = "d%dn%d" % (d.number, len(self.pages))
            self.pages[page] = hosts
            hosts = [PORTAL] + hosts
        self._add(d, d.browser, hosts, self._ca(d), page=page)

    @staticmethod
    def _ca(d):
        return "office" if d.trusts else "public"

    def _fill(self, d):
        rnd = self.rnd
        for c in d.programs:
            self._add(d, c, rnd.sample(COMMON, 3 if d.trusts else 4), self._ca(d))
        for c in d.strangers:
            self._add(d, c, rnd.sample(COMMON, 4), "public")
        mine = [a.host for a in d.apps if a.compared == "device"]
        self._browse(d, rnd.sample(COMMON, 4) + mine)
        if d.number % 2 == 0:
            self._browse(d, rnd.sample(COMMON, 2) + mine)
        for a in d.apps:
            for _ in range(rnd.randint(2, 4)):
                self._attempt(d, a, 1 if rnd.random() < 0.75 else rnd.randint(2, 3))
        self._mishaps(d)

    def _attempt(self, d, a, times):
        own_list = a.mode == "ca"
        self._add(d, a.client, [a.host], "public" if own_list else self._ca(d), mode="none" if own_list else a.mode, app=a,
                  pinned_key="old" if a.rotated else key_name(a.host), times=times)

    def _mishaps(self, d):
        rnd, ca = self.rnd, self._ca(d)
        faults = [f for f in FAULTS if f != "revoked"]
        for c in d.programs if self.mishaps > 1 else rnd.sample(d.programs, min(2, len(d.programs))):
            for f in rnd.sample(faults, self.mishaps):
                self._add(d, c, [f + ".fault.example"], ca)
            special = ["cipher.example", "version.example", "mtls.example"] + [s + ".stage.example" for s in STAGES]
            for h in rnd.sample(special, self.mishaps):
                self._add(d, c, [h], ca)
            if c.crl:
                self._add(d, c, ["revoked.fault.example"], ca, mode="crl")
        if d.number % 4 == 2:
            self._add(d, None, rnd.sample(COMMON, 3), ca, what="spare", cause="spare")
        if d.number % 9 == 3:
            self._add(d, None, rnd.sample(COMMON, 4), ca, what="health", cause="health-check")
        if d.number % 9 == 4:
            self._add(d, None, rnd.sample(COMMON, 1), ca, what="cancel", cause="cancelled")
        resumer = next((c for c in d.programs if c.name == "openssl"), None)
        if resumer and self.path == "direct":
            for _ in range(3):
                self._add(d, resumer, ["docs.cloud.example"], ca, cause="resumed")

    def _visits_elsewhere(self):
        for a in self.apps:
            if a.compared != "office":
                continue
            there = [d for d in self.devices if d.trusts and a not in d.apps and d.browser not in (None, a.client)]
            for d in self.rnd.sample(there, min(2, len(there))):
                self._add(d, d.browser, [a.host], self._ca(d))

    # -- what each connection is --------------------------------------------------------------------------------------
    def cause(self, job, host):
        kind = host.split(".")[0]
        between = host in self.intercepted
        if job.cause == "cancelled":
            return job.cause
        if host.endswith(".fault.example") or host.endswith(".stage.example"):
            return kind
        special = {"cipher.example": "no-common-cipher", "version.example": "no-common-version",
                   "mtls.example": "client-certificate"}.get(host)
        if special:
            return special
        if between and job.ca == "public" and job.app is None:
            return "unknown-ca"
        if job.cause:
            return job.cause
        if job.app and job.app.rotated:
            return "pin-rotated"
        if job.app:
            return "pin" if between else "pin-match"
        return "ok"

    def label(self, job, host, versions):
        cause = self.cause(job, host)
        truth, acceptable, wire = CAUSES[cause]
        d, a = job.device, job.app
        name = job.client.name if job.client else "check-" + job.what
        finding = None
        if truth == "pinned":
            finding = ["host_pinned_for_client", d.address, name, host]
        elif cause == "unknown-ca":
            finding = ["client_distrusts_ca", d.address, name]
        elif cause in BAD_HOSTS:
            finding = ["host_certificate_bad", host]
        works = "hello from " + host in job.output or "s_server -accept" in job.output
        blind = bool(job.what) or bool(job.page)  # these do not show what became of each host
        return {
            "src": d.address, "dst": NETS[d.family][1] % self.hosts[host], "dport": 443, "sni": host, "client": name,
            "client_version": versions.get(name, ""), "stack": job.client.stack if job.client else "OpenSSL",
            "path": self.path if host in self.intercepted else "direct", "tls": self.tls, "cause": cause,
            "pin": a.mode if a else None, "compared": a.compared if a and truth == "pinned" else None,
            "trusts_proxy": job.ca == "office", "truth": truth, "acceptable": acceptable, "wire": wire,
            "needs_correlation": truth == "pinned" and a.mode != "after", "finding": finding,
            "exit_status": job.exit_status, "valid": blind or works == (cause in GOOD),
            "said": "" if blind or works == (cause in GOOD) else job.output.strip()[-160:]}

    def labels(self, connections, versions):
        """connections: (source, port, destination) in order. One label a connection."""
        owner, rows, count = {}, [], {}
        for j in self.jobs:
            for h in j.hosts if j.ports else ():
                l = self.label(j, h, versions)
                owner.update(((l["src"], p, l["dst"]), l) for p in j.ports)
        for src, port, dst in connections:
            l = owner[src, port, dst]
            n = count[id(l)] = count.get(id(l), -1) + 1
            row = dict(l, id="%s/%04d" % (self.name, len(rows)), sport=port, conn_index=n)
            if n and l["truth"] == "normal":
                # spare connections of a browser: perhaps used, perhaps not
                row["acceptable"] = ["incomplete", "aborted"]
            rows.append(row)
        return rows


def app_host(vendor):
    return "%s.%s.example" % (["api", "app", "m", "sync"][len(vendor) % 4], vendor)


def key_name(host):
    return host.replace(".", "-")
