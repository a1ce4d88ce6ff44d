"""The style sheet of the HTML report."""

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2024; --dim: #60646c; --rule: #e0e2e6; --ground: #ffffff;
  --away: #e5484d26; --returning: #e5484d0f; --memory: #3e63dd; --redis: #12a594; --user-svc: #f5a524;
  --proof: #8e4ec6; --blind: #d6409f; --refused: #8b8d98; --unavailable: #f5a524; --unanswered: #c4a484;
  --wrong: #e5484d; --p50: #12a594; --p95: #3e63dd; --slowest: #8b8d98; --good: #18794e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #edeef0; --dim: #b0b4ba; --rule: #363a3f; --ground: #111113; --away: #e5484d40;
    --returning: #e5484d1c; --memory: #7c93f5; --redis: #2cc6b4; --user-svc: #ffc53d; --proof: #b58cf0;
    --blind: #f06dbd; --refused: #7d8087; --unavailable: #ffc53d; --p50: #2cc6b4; --p95: #7c93f5; --good: #4cc38a; } }
body { background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 1120px; margin: 0 auto; padding: 24px; }
h1 { font-size: 24px; } h1 span { font-size: 16px; font-weight: 600; margin-left: 12px; }
h2 { font-size: 16px; margin: 32px 0 4px; }
ul { padding-left: 20px; } figure { margin: 0; }
svg { width: 100%; height: auto; display: block; }
text { fill: var(--dim); font: 11px system-ui, sans-serif; }
.tick, .band, .number { text-anchor: middle; } .scale { text-anchor: end; } .number { fill: var(--ink); }
.grid { stroke: var(--rule); } .limit { stroke: var(--wrong); stroke-dasharray: 4 4; }
.away { fill: var(--away); } .returning { fill: var(--returning); }
.tip { fill: transparent; } .tip:hover { fill: color-mix(in srgb, var(--ink) 12%, transparent); }
.bar { fill: var(--memory); }
.memory { fill: var(--memory); background: var(--memory); } .redis { fill: var(--redis); background: var(--redis); }
.user-svc { fill: var(--user-svc); background: var(--user-svc); }
.proof { fill: var(--proof); background: var(--proof); } .blind { fill: var(--blind); background: var(--blind); }
.refused { fill: var(--refused); background: var(--refused); }
.unavailable { fill: var(--unavailable); background: var(--unavailable); }
.unanswered { fill: var(--unanswered); background: var(--unanswered); }
.wrong { fill: var(--wrong); background: var(--wrong); }
.p50 { stroke: var(--p50); background: var(--p50); } .p95 { stroke: var(--p95); background: var(--p95); }
.slowest { stroke: var(--slowest); background: var(--slowest); }
.line { fill: none; stroke-width: 1.5; background: none; }
.legend { margin: 0 0 4px; color: var(--dim); font-size: 13px; } .legend span { margin-right: 16px; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 7px; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { font-weight: 600; } tr > th:first-child { text-align: left; }
.passed { color: var(--good); } .failed { color: var(--wrong); font-weight: 600; }
"""
