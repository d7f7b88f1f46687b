/* SPDX-License-Identifier: BSD-3-Clause */
/* report_page.h: style and script of the HTML report. The page's Content-Security-Policy names them by their SHA-256, so
 * that nothing else on it can be a style or a script, whatever a name from the wire holds. A test compares the hashes:
 * it prints the right ones after a change. */
#ifndef PSI_REPORT_PAGE_H
#define PSI_REPORT_PAGE_H

#define STYLE_SHA256  "3qLyHEYUVxw4/joZIrojBuoDR6MrNPCTLLx+N66z9zE="
#define SCRIPT_SHA256 "grXLz0NBjwbrkj/PQRn7gXzjFfI/AKa1LFT5R2f3PZU="

static const char page_style[] =
	":root{color-scheme:light dark;--fg:#1c2430;--bg:#fff;--soft:#5a6675;--line:#d8dee6;--card:#f5f7fa;"
	"--ok:#2f6fbf;--refused:#c2500a;--failed:#7a4fb0;--other:#8a94a0}"
	"@media(prefers-color-scheme:dark){:root{--fg:#e4e9ef;--bg:#14181e;--soft:#9aa7b5;--line:#333c47;"
	"--card:#1d232b;--ok:#6ea8ee;--refused:#f0955a;--failed:#b795e8;--other:#76808c}}"
	"body{margin:0 auto;max-width:76rem;padding:1rem 1.5rem 3rem;background:var(--bg);color:var(--fg);"
	"font:15px/1.45 system-ui,sans-serif}"
	"h1{font-size:1.5rem;margin:.5rem 0 0}h2{font-size:1.15rem;margin:2rem 0 .2rem}"
	"p{margin:.2rem 0 .6rem}.soft{color:var(--soft)}"
	".tiles{display:flex;flex-wrap:wrap;gap:.8rem;margin:1rem 0;padding:0;list-style:none}"
	".tiles li{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.5rem .9rem}"
	".tiles b{display:block;font-size:1.3rem}"
	".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:1rem}"
	"figure{margin:0;min-width:0;background:var(--card);border:1px solid var(--line);"
	"border-radius:.5rem;padding:.6rem}figcaption{font-weight:600}"
	"svg{width:100%;height:auto;display:block}svg text{fill:var(--soft);font:11px system-ui,sans-serif}"
	"svg .axis{stroke:var(--line)}.ok{fill:var(--ok)}.refused{fill:var(--refused)}"
	".failed{fill:var(--failed)}.other{fill:var(--other)}"
	".wide{overflow-x:auto}table{border-collapse:collapse;width:100%}"
	"th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid var(--line)}"
	"td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
	"td.name{font-weight:600;overflow-wrap:anywhere;min-width:10rem}td.why{overflow-wrap:anywhere}"
	"th button{all:unset;cursor:pointer;font-weight:600}th button:focus-visible{outline:2px solid var(--ok)}"
	"th[aria-sort=ascending] button::after{content:' \\2191'}"
	"th[aria-sort=descending] button::after{content:' \\2193'}"
	"dl{margin:.2rem 0 0;font-size:.85rem;color:var(--soft)}dt{float:left;margin-right:.4rem}dd{margin:0}"
	".note{border-left:4px solid var(--refused);padding-left:.7rem}"
	"@media print{body{max-width:none;font-size:10pt;padding:0}tr,figure{break-inside:avoid}"
	"thead{display:table-header-group}th button::after{content:none!important}}";

/* Headings become buttons that sort their table. Without scripts the page stands as it is, in order of urgency. */
static const char page_script[] =
	"'use strict';"
	"for(const th of document.querySelectorAll('th')){"
	"const b=document.createElement('button');b.type='button';b.textContent=th.textContent;"
	"th.replaceChildren(b);b.onclick=()=>{"
	"const up=th.getAttribute('aria-sort')==='descending',i=th.cellIndex,t=th.closest('table'),"
	"body=t.tBodies[0],key=r=>r.cells[i].dataset.v??r.cells[i].textContent;"
	"for(const o of t.querySelectorAll('th'))o.removeAttribute('aria-sort');"
	"th.setAttribute('aria-sort',up?'ascending':'descending');"
	"body.append(...[...body.rows].sort((a,c)=>{const x=key(a),y=key(c),"
	"d=th.className==='n'?x-y:x<y?-1:x>y?1:0;return up?d:-d}))}}";

#endif
