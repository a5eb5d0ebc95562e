// Draws the costs by day: delivered and wasted seconds as bars, the amount charged as a line.

const place = document.getElementById("chart");
let chart = null;

function draw() {
  chart?.destroy();
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const columns = JSON.parse(place.dataset.series);
  const [days, delivered, wasted, charged] = columns;
  const whole = delivered.map((seconds, day) => seconds + wasted[day]);
  const bars = uPlot.paths.bars({ size: [0.7, 40] });
  const axis = { stroke: ink("--ink-soft"), grid: { stroke: ink("--rule"), width: 1 }, ticks: { show: false } };
  const spell = (unit, places) => (_, value) => (value == null ? "–" : `${value.toFixed(places)} ${unit}`);
  chart = new uPlot({
    width: place.clientWidth,
    height: 260,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
    scales: { x: { time: true }, money: { range: (_, __, most) => [0, most || 1] },
      y: { range: (_, __, most) => [0, most * 1.05 || 1] } },
    axes: [axis, { ...axis, size: 60, values: (_, values) => values.map((value) => `${value} s`) },
      { ...axis, side: 1, scale: "money", size: 70, grid: { show: false } }],
    series: [
      { value: (_, seconds) => (seconds == null ? "–" : new Date(seconds * 1000).toISOString().slice(0, 10)) },
      { label: "including waste", paths: bars, fill: ink("--bad-soft"), stroke: ink("--bad"), width: 1, points: { show: false }, value: spell("s", 2) },
      { label: "delivered", paths: bars, fill: ink("--chart"), stroke: ink("--chart"), width: 1, points: { show: false }, value: spell("s", 2) },
      { label: "charged", scale: "money", stroke: ink("--accent"), width: 2, points: { show: days.length < 40 },
        value: spell(place.dataset.currency, 4) },
    ],
  }, [days, whole, delivered, charged], place);
}

if (place) {
  draw();
  new ResizeObserver(() => { if (chart && Math.abs(chart.width - place.clientWidth) > 2) chart.setSize({ width: place.clientWidth, height: 260 }); }).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}
