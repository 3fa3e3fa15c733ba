"""Style of the page: light and dark, from a telephone's width to a projector's."""

STYLE = """
:root{color-scheme:light dark;--paper:#f7f7f5;--card:#fff;--ink:#1c1d22;--soft:#565a66;--line:#e2e2de;--accent:#3b4cca;--wash:#e9ebfb;
--old:#8a6d1f;--good:#17643a;--goodwash:#e4f4ea;--warn:#7a4b00;--warnwash:#fdf1da;--bad:#a1242b;--badwash:#fcebeb}
@media (prefers-color-scheme:dark){:root{--paper:#131418;--card:#1c1e24;--ink:#ecedf1;--soft:#a9adba;--line:#33363f;--accent:#9aa8ff;
--wash:#282d4a;--old:#e0bd62;--good:#7fd8a2;--goodwash:#18301f;--warn:#f3c06b;--warnwash:#33270f;--bad:#ff9ea2;--badwash:#3a1d1f}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
main,footer{max-width:60rem;margin:0 auto;padding:0 clamp(1rem,4vw,2.5rem)}
main{padding-top:clamp(1.5rem,5vw,4rem)}
h1{font-size:clamp(1.9rem,6vw,3.2rem);line-height:1.08;letter-spacing:-.025em;margin:.35rem 0 .8rem;font-weight:700;text-wrap:balance}
h2{font-size:1.3rem;letter-spacing:-.01em;margin:0 0 .2rem}
p{margin:0 0 .8rem}
code{font:.88em/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;overflow-wrap:anywhere}
.eyebrow{color:var(--soft);font-weight:600;margin:0;overflow-wrap:anywhere}
.eyebrow .arrow{color:var(--accent);padding:0 .2em}
.lead{font-size:clamp(1.05rem,2.4vw,1.25rem);color:var(--soft);max-width:48rem;overflow-wrap:anywhere}
.advice{display:flex;gap:.9rem;align-items:flex-start;border-radius:.8rem;padding:.95rem 1.1rem;margin:1.4rem 0}
.advice>div{min-width:0;overflow-wrap:anywhere}.advice p{margin:0;font-size:1.1rem}.advice ul{margin:.15rem 0 0;padding-left:1.1rem}
.advice .mark{flex:none;width:1.6rem;height:1.6rem;border-radius:50%;display:grid;place-items:center;font-weight:700;line-height:1;
border:2px solid currentColor;margin-top:.1rem}
.keep{background:var(--goodwash);color:var(--good)}.some{background:var(--warnwash);color:var(--warn)}.all{background:var(--badwash);color:var(--bad)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.75rem;margin:0 0 2.2rem}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:.8rem;padding:.8rem 1rem}
.tiles dt{color:var(--soft);font-size:.85rem}
.tiles dd{margin:0;font-size:1.55rem;font-weight:650;letter-spacing:-.02em;font-variant-numeric:tabular-nums;white-space:nowrap}
section{background:var(--card);border:1px solid var(--line);border-radius:1rem;padding:clamp(1rem,3vw,1.75rem);margin:0 0 1.25rem}
section>p{color:var(--soft);max-width:44rem}
figure{margin:1rem 0 0}
figcaption{color:var(--soft);font-size:.9rem;margin-top:.7rem;overflow-wrap:anywhere}
.chart{position:relative;height:13rem;margin-top:2rem;border-bottom:1px solid var(--soft)}
.chart .most{position:absolute;top:-1.15rem;left:0;font-size:.85rem;color:var(--soft)}
.chart:before{content:"";position:absolute;left:0;right:0;top:4%;border-top:1px dashed var(--line)}
.histogram{position:relative;width:100%;height:100%;display:block}
.bar{fill:var(--accent)}
.histogram .median{stroke:var(--old);stroke-width:2;stroke-dasharray:5 4;vector-effect:non-scaling-stroke}
.axis{display:flex;justify-content:space-between;font-size:.85rem;color:var(--soft);font-variant-numeric:tabular-nums;padding-top:.3rem}
.key{display:inline-block;width:.72rem;height:.72rem;border-radius:50%;margin:0 .2rem 0 .1rem;vertical-align:-.05rem}
.key.old{border:2px solid var(--old)}.key.new{background:var(--accent)}
.key.new:not(:first-child){margin-left:.7rem}
.key.median{width:1.1rem;height:0;border-radius:0;border-top:2px dashed var(--old);vertical-align:.25rem}
.plane{width:100%;height:auto;display:block;border:1px solid var(--line);border-radius:.6rem}
.plane .way{stroke:var(--soft);stroke-opacity:.35;stroke-width:1.2}
.plane .old{fill:var(--card);stroke:var(--old);stroke-width:1.6;stroke-opacity:.75}
.plane .new{fill:var(--accent);fill-opacity:.75}
.plane .far .way{stroke:var(--accent);stroke-opacity:.9;stroke-width:2}
.plane .far .new{fill-opacity:1}.plane .far .old{stroke-opacity:1}
.plane .equal{stroke:var(--soft);stroke-dasharray:6 5}
.plane text{fill:var(--ink);font-size:15px;font-weight:700;paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
.far{list-style:none;counter-reset:far;margin:1rem 0 0;padding:0}
ol.far>li{counter-increment:far;display:grid;grid-template-columns:2rem 1fr auto;gap:.15rem .7rem;padding:.75rem 0;border-top:1px solid var(--line)}
ol.far>li:before{content:counter(far);color:var(--soft);font-weight:650;font-variant-numeric:tabular-nums;grid-row:span 3}
.said{margin:0;overflow-wrap:anywhere;min-width:0}
.value{margin:0;font-weight:650;font-variant-numeric:tabular-nums}
.meter{grid-column:2/4;height:.4rem;border-radius:.2rem;background:var(--wash);overflow:hidden}
.meter span{display:block;height:100%;background:var(--accent);border-radius:.2rem}
ol.far details{grid-column:2/4;margin:.2rem 0 0;border:0;padding:0;font-size:.92rem;color:var(--soft)}
.near{display:grid;grid-template-columns:repeat(auto-fit,minmax(14rem,1fr));gap:.5rem 1.5rem;padding:.5rem 0}
.near p{margin:0;font-weight:650}
.near ul{margin:0;padding-left:1.1rem;overflow-wrap:anywhere}
.note{color:var(--soft);margin:.8rem 0 0}
.scroll{overflow-x:auto;margin-top:.8rem;border-radius:.4rem}
table{border-collapse:collapse;width:100%;font-size:.95rem}
th,td{text-align:left;vertical-align:top;padding:.5rem .8rem .5rem 0;border-top:1px solid var(--line)}
thead th{border:0;color:var(--soft);font-weight:600;font-size:.85rem;white-space:nowrap}
tbody th{font-weight:600;overflow-wrap:anywhere;min-width:8.5rem}
thead th:nth-child(n+2):has(~*){padding-right:.8rem}
.number{font-variant-numeric:tabular-nums;white-space:nowrap}
.chips{display:flex;flex-wrap:wrap;gap:.25rem}
.chips code{white-space:nowrap;background:var(--wash);border-radius:.35rem;padding:.1rem .45rem}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
details{border-top:1px solid var(--line);padding:.7rem 0}
section>details:last-child{padding-bottom:0}
summary{cursor:pointer;font-weight:600}
ol.far summary{font-weight:500;color:var(--accent)}
.count{color:var(--soft);font-weight:500;margin-left:.3rem}
pre{overflow-x:auto;margin:.7rem 0 0;font:.88rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre span{display:block}
.plus{color:var(--good)}.minus{color:var(--bad)}.around{color:var(--soft)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:.3rem}
footer{color:var(--soft);font-size:.88rem;padding-top:.5rem;padding-bottom:3rem}
footer ul{margin:0 0 .5rem;padding-left:1.1rem}
@media (max-width:36rem){.chart{height:10rem}.plane text{font-size:26px}.plane .far .way{stroke-width:3}.plane .old,.plane .new{r:7px}
ol.far>li{grid-template-columns:1.4rem 1fr auto}.tiles dd{font-size:1.3rem}th,td{padding-right:.6rem}tbody th{min-width:7rem}}
@media print{body{background:#fff}section,.tiles div{break-inside:avoid}}
""".replace("\n", "")
