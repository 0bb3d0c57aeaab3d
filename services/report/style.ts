/** One style sheet, light and dark by the reader's setting. Colours are told apart also with colour-blind eyes. */
export const STYLE = `
:root { color-scheme: light dark;
  --surface: #fcfcfb; --panel: #ffffff; --ink: #16181d; --soft: #5a6068; --line: #e3e4e6; --axis: #a9adb3;
  --search: #2a78d6; --science: #12946a; --instruction: #c77d00; --tools: #6a4fc4;
  --sft: #9aa0a8; --student: #16181d; --other: #7a7f87;
  --compute: #2a78d6; --orchestration: #d9582b; --waiting: #b4b8be; --main: #2a78d6; --correct: #2a78d6; --constraints: #12946a; --format: #6a4fc4; --efficiency: #c77d00; --repetition: #d9582b; --good: #12805c; --bad: #b3361f; }
@media (prefers-color-scheme: dark) { :root {
  --surface: #15171a; --panel: #1c1f23; --ink: #eceef1; --soft: #a4abb4; --line: #2e3238; --axis: #5c626b;
  --search: #5a9cf0; --science: #35c08f; --instruction: #e8a838; --tools: #a48df0;
  --sft: #7d848d; --student: #f4f5f7; --other: #8b929b;
  --compute: #5a9cf0; --orchestration: #f0814f; --waiting: #5f666f; --main: #5a9cf0; --correct: #5a9cf0; --constraints: #35c08f; --format: #a48df0; --efficiency: #e8a838; --repetition: #f0814f; --good: #4cc79a; --bad: #f08a75; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--surface); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; } h2 { font-size: 18px; margin: 44px 0 2px; }
p { margin: 2px 0 14px; color: var(--soft); max-width: 78ch; } p.bad { color: var(--bad); font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(126px, 1fr)); gap: 12px; margin: 22px 0 0; padding: 0; list-style: none; }
.tiles li { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; }
.tiles b { display: block; font-size: 24px; line-height: 1.25; font-variant-numeric: tabular-nums; } .tiles span { color: var(--soft); font-size: 13px; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 12px; }
.charts.pair { grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); }
figure { margin: 0; background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px 8px; }
figcaption { font-weight: 600; font-size: 13.5px; margin-bottom: 2px; }
svg { display: block; width: 100%; height: auto; } svg text { font: 11px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: var(--soft); }
.grid { stroke: var(--line); } .axis { stroke: var(--axis); }
svg .label { font-size: 11.5px; } svg .group, svg .row { fill: var(--ink); font-size: 13px; } svg .value { font-size: 10px; } svg .end { font-weight: 600; fill: var(--c); }
.curve { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; } .raw { fill: none; stroke: var(--c); stroke-width: 1; opacity: .3; }
.bar, .dot { fill: var(--c); } .bar.own { stroke: var(--ink); stroke-width: 1.5; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; list-style: none; margin: 6px 0 2px; padding: 0; font-size: 13px; color: var(--soft); }
.legend i { display: inline-block; width: 11px; height: 11px; border-radius: 3px; background: var(--c); margin-right: 6px; vertical-align: -1px; }
.scroll { overflow-x: auto; margin-top: 12px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; background: var(--panel); }
th, td { padding: 6px 12px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; } th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child { text-align: left; } tr.strong td { font-weight: 600; } tfoot td { border-top: 2px solid var(--axis); color: var(--soft); }
td.own { font-weight: 700; } td.up { color: var(--good); } td.down { color: var(--bad); }
table.facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; } table.facts td:first-child { color: var(--soft); white-space: nowrap; width: 1%; }
table.facts td + td { font-family: ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; font-size: 13px; }
${['search', 'science', 'instruction', 'tools', 'sft', 'student', 'other', 'compute', 'orchestration', 'waiting', 'main', 'efficiency', 'repetition', 'format', 'correct', 'constraints'].map((name) => `.series-${name} { --c: var(--${name}); }`).join('\n')}
@media print { main { max-width: none; } figure, .tiles li { break-inside: avoid; } }
`;
