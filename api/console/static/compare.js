// Zooms and pans all images on the page together.

const panes = [...document.querySelectorAll("#compare .pane")];
const slider = document.getElementById("zoom");
const view = { scale: 1, x: 0, y: 0 }; // x and y: offset as a fraction of the pane

function show() {
  const most = (view.scale - 1) / 2;
  view.x = Math.max(-most, Math.min(most, view.x));
  view.y = Math.max(-most, Math.min(most, view.y));
  for (const pane of panes) {
    const picture = pane.querySelector("img");
    if (picture) picture.style.transform = `translate(${view.x * 100}%, ${view.y * 100}%) scale(${view.scale})`;
  }
  slider.value = view.scale;
}

slider?.addEventListener("input", () => { view.scale = Number(slider.value); show(); });

for (const pane of panes) {
  pane.addEventListener("wheel", (event) => {
    event.preventDefault();
    view.scale = Math.max(1, Math.min(8, view.scale * Math.exp(-event.deltaY / 400)));
    show();
  }, { passive: false });
  pane.addEventListener("pointerdown", (event) => pane.setPointerCapture(event.pointerId));
  pane.addEventListener("pointermove", (event) => {
    if (!pane.hasPointerCapture(event.pointerId)) return;
    view.x += event.movementX / pane.clientWidth;
    view.y += event.movementY / pane.clientHeight;
    show();
  });
  pane.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };
    if (event.key in moves) {
      [view.x, view.y] = [view.x + moves[event.key][0], view.y + moves[event.key][1]];
    } else if (event.key === "+" || event.key === "-") {
      view.scale = Math.max(1, Math.min(8, view.scale * (event.key === "+" ? 1.25 : 0.8)));
    } else {
      return;
    }
    event.preventDefault();
    show();
  });
}
