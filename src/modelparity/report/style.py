"""The style sheet of report.html: light and dark by the reader's own setting, narrow and wide."""

CSS = """
:root {
  color-scheme: light dark;
  --paper: #f6f7f8; --card: #ffffff; --ink: #1b2127; --soft: #58636e; --rule: #dfe3e7;
  --aligned: #17794a; --diverged: #c02d27; --inconclusive: #946200; --unclaimed: #6b7681;
  --aligned-wash: #e6f4ec; --diverged-wash: #fcebea; --inconclusive-wash: #fbf2dc;
  --unclaimed-wash: #eceff2;
  --reference: #2467b0; --candidate: #d2600a; --single: #7a52b3; --double: #0d7f86;
  --code: #eef1f4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1c2125; --ink: #e4e8eb; --soft: #9aa6b1; --rule: #323a42;
    --aligned: #57c48a; --diverged: #ff8078; --inconclusive: #e4b44c; --unclaimed: #98a4af;
    --aligned-wash: #17301f; --diverged-wash: #3b1c1b; --inconclusive-wash: #352a10;
    --unclaimed-wash: #262c32;
    --reference: #74aef2; --candidate: #ff9f55; --single: #b998ef; --double: #4fc7ce;
    --code: #272e34;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 62rem; margin: 0 auto; padding: 1.75rem 1.25rem 4rem; }
h1, h2, h3 { line-height: 1.2; margin: 0; text-wrap: balance; }
h1 { font-size: 2.3rem; letter-spacing: -0.02em; }
h2 { font-size: 1.3rem; }
h3 { font-size: 1rem; }
p { margin: 0.5rem 0 0; overflow-wrap: anywhere; }
a { color: inherit; }
code, .mono, td.name {
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: 0.87em; overflow-wrap: anywhere;
}
.aligned { --tone: var(--aligned); --wash: var(--aligned-wash); }
.diverged { --tone: var(--diverged); --wash: var(--diverged-wash); }
.inconclusive { --tone: var(--inconclusive); --wash: var(--inconclusive-wash); }
.unclaimed { --tone: var(--unclaimed); --wash: var(--unclaimed-wash); }
.soft { color: var(--soft); }

header.page {
  background: var(--wash); border-left: 6px solid var(--tone); border-radius: 10px;
  padding: 1.4rem 1.6rem 1.5rem;
}
header.page h1 { color: var(--tone); margin-top: 0.15rem; }
header.page p.meaning { font-size: 1.08rem; max-width: 46rem; }
section { margin-top: 1.25rem; }
section.card {
  background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  padding: 1.15rem 1.4rem 1.3rem;
}
section.step { border-left: 6px solid var(--tone); scroll-margin-top: 1rem; }

.rungs { list-style: none; margin: 0.75rem 0 0; padding: 0; }
.rungs li + li { border-top: 1px solid var(--rule); }
.rungs .row {
  display: grid; align-items: center; column-gap: 0.9rem; padding: 0.42rem 0;
  grid-template-columns: 1.7rem 1.5rem minmax(8.5rem, 1fr) 8rem minmax(0, 1.5fr) 6.75rem 4.5rem;
  text-decoration: none;
}
.rungs a.row:hover .title { text-decoration: underline; }
.rungs .head { color: var(--soft); font-size: 0.82rem; padding-top: 0; }
.rungs .number { color: var(--soft); text-align: right; font-variant-numeric: tabular-nums; }
.rungs .title { font-weight: 600; }
.rungs .word, .step .word { color: var(--tone); font-weight: 600; }
.rungs .compared { color: var(--soft); font-size: 0.87rem; }
.rungs .ratio { text-align: right; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
.mark {
  display: inline-flex; align-items: center; justify-content: center; flex: none;
  width: 1.4rem; height: 1.4rem; border-radius: 50%;
  background: var(--tone); color: var(--card); font-size: 0.85rem; font-weight: 700; line-height: 1;
}
.unclaimed .mark { background: transparent; color: var(--tone); border: 1.5px dashed var(--tone); }

.step .heading { display: flex; align-items: center; gap: 0.7rem; flex-wrap: wrap; }
.step .heading .word { margin-left: auto; }
.reason {
  border-radius: 6px; background: var(--wash); padding: 0.6rem 0.85rem; margin-top: 0.8rem;
  overflow-wrap: anywhere;
}
.reason b { color: var(--tone); }
.chips { display: flex; flex-wrap: wrap; gap: 0.35rem; margin: 0.7rem 0 0; padding: 0; }
.chips li {
  list-style: none; background: var(--code); border-radius: 99px; padding: 0.08rem 0.7rem;
  font-size: 0.84rem; font-variant-numeric: tabular-nums;
}
ul.notes { margin: 0.7rem 0 0; padding-left: 1.1rem; }
ul.notes li { color: var(--soft); font-size: 0.93rem; overflow-wrap: anywhere; }

.scroll { overflow-x: auto; margin-top: 0.8rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.88rem; }
th { text-align: left; color: var(--soft); font-weight: 600; }
th, td { padding: 0.36rem 0.9rem 0.36rem 0; vertical-align: top; }
th, td { border-top: 1px solid var(--rule); }
tr:first-child th { border-top: 0; }
td { overflow-wrap: anywhere; }
td.what { min-width: 14rem; }
td.name { min-width: 11rem; max-width: 22rem; }
td.kind { white-space: nowrap; }
td.number, th.number {
  text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums;
}
td .hint { display: block; color: var(--soft); margin-top: 0.2rem; }
td .hint::before { content: "try: "; font-weight: 600; color: var(--ink); }
dl.legend {
  display: grid; grid-template-columns: 8.5rem 1fr; gap: 0.3rem 1rem; margin: 0.8rem 0 0;
}
dl.legend dt { font-weight: 600; }
dl.legend dd { margin: 0; color: var(--soft); font-size: 0.93rem; }
details { margin-top: 0.8rem; }
summary { cursor: pointer; color: var(--soft); font-size: 0.92rem; }

figure { margin: 1.2rem 0 0; }
figcaption { font-size: 0.88rem; color: var(--soft); margin-top: 0.2rem; }
.keys {
  display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; font-size: 0.87rem; margin-top: 0.3rem;
}
.keys svg { width: 26px; height: 10px; margin-right: 0.45rem; vertical-align: middle; }
svg.chart { display: block; width: 100%; min-width: 35rem; height: auto; }
svg text { font-family: inherit; fill: var(--soft); }
svg .tick { font-size: 11.5px; }
svg .axis, svg .note { font-size: 12px; }
svg .note { fill: var(--ink); paint-order: stroke; stroke: var(--card); stroke-width: 4px; }
svg .grid { stroke: var(--rule); }
svg .base { stroke: var(--soft); }
svg .level, svg .index { stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 3 4; }
svg .beyond { fill: var(--unclaimed-wash); opacity: 0.7; }
svg .lost { fill: var(--diverged); font-weight: 700; font-size: 14px; }
.curve { --line: var(--soft); }
.curve path, .curve line { fill: none; stroke: var(--line); stroke-width: 1.9; }
.curve circle { fill: var(--line); }
.curve.reference { --line: var(--reference); }
.curve.candidate { --line: var(--candidate); }
.curve.single { --line: var(--single); }
.curve.double, .curve.gap { --line: var(--double); }
.curve.reference path, .curve.reference line { stroke-width: 3.6; stroke-opacity: 0.55; }
.curve.candidate path, .curve.candidate line { stroke-width: 1.7; stroke-dasharray: 6 3; }
.curve.reference circle, .curve.candidate circle { fill-opacity: 0.001; }
.curve.allowance path, .curve.allowance line { stroke-dasharray: 2 3; }
.curve.allowance circle { fill-opacity: 0.001; }
svg.gauge { width: 6.75rem; height: 1rem; display: block; }
.gauge .track { stroke: var(--rule); stroke-width: 3; stroke-linecap: round; }
.gauge .track.out { stroke: var(--diverged-wash); }
.gauge .limit { stroke: var(--soft); stroke-width: 1.5; }
.gauge .within { fill: var(--aligned); }
.gauge .beyond { fill: var(--diverged); }

@media (max-width: 48rem) {
  main { padding: 0.9rem 0.75rem 3rem; }
  h1 { font-size: 1.8rem; }
  header.page, section.card { padding: 1rem; }
  .rungs .head { display: none; }
  .rungs .row { grid-template-columns: 1.7rem 1.5rem 1fr auto; row-gap: 0.1rem; }
  .rungs .compared { grid-column: 3 / -1; }
  .rungs .strip { display: none; }
  .rungs .ratio { display: none; }
  table.findings, table.findings tbody { display: block; }
  table.findings tr { display: block; border-top: 1px solid var(--rule); padding: 0.5rem 0; }
  table.findings tr:first-child { display: none; }
  table.findings td { display: inline-block; border: 0; padding: 0.05rem 0.9rem 0.05rem 0; }
  table.findings td.name, table.findings td.what { display: block; max-width: none; min-width: 0; }
  table.findings td[data-label]::before { content: attr(data-label) " "; color: var(--soft); }
  dl.legend { grid-template-columns: 1fr; gap: 0; }
  dl.legend dd { margin-bottom: 0.6rem; }
}
@media print {
  body { background: none; }
  section.card { break-inside: avoid; }
}
"""
