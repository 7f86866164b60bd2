'use strict';

// The mouse over the bird's-eye view: it moves, zooms and asks for boxes.

const panelAt = (column) => panels().find((panel) => column < panel.left + panel.width) || panels()[0];

// the topmost box under a pixel
function boxAt(column, row) {
  const panel = panelAt(column);
  const [x, y] = view.toMetres(panel, column, row);
  for (const layer of [...panel.layers].reverse()) {
    const box = boxesOf(layer).find((one) => holds(outline(one), x, y));
    if (box) return { layer, box };
  }
  return null;
}

function hideTip() {
  element('tip').hidden = true;
  canvas.classList.remove('found');
  state.hover = null;
}

function showTip(found, column, row) {
  const { layer, box } = found;
  const [x, y] = middle(outline(box));
  const facts = [`${Math.hypot(x, y).toFixed(1)} m away`];
  if (box.speed !== null) facts.unshift(`${box.speed.toFixed(1)} m/s`);
  if (box.score !== null) facts.unshift(`score ${box.score.toFixed(2)}`);
  const tip = element('tip');
  const name = document.createElement('b');
  name.textContent = CONTENT.classes[box.class].name.replace('_', ' ');
  tip.replaceChildren(name, CONTENT.layers[layer].name, document.createElement('br'), facts.join(' · '));
  tip.hidden = false;
  tip.style.left = `${Math.max(4, Math.min(column + 14, canvas.clientWidth - tip.offsetWidth - 6))}px`;
  tip.style.top = `${row + 18 + tip.offsetHeight > canvas.clientHeight ? row - tip.offsetHeight - 10 : row + 18}px`;
  canvas.classList.add('found');
}

function onHover(column, row) {
  const found = boxAt(column, row);
  const before = state.hover && state.hover.box;
  if (found) showTip(found, column, row);
  else hideTip();
  state.hover = found;
  if (before !== (found && found.box)) redraw();
}

function watchMouse() {
  let last = null; // where the mouse was while it drags
  canvas.addEventListener('pointerdown', (event) => {
    last = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
    canvas.classList.add('moving');
    hideTip();
  });
  canvas.addEventListener('pointermove', (event) => {
    if (!last) return onHover(event.offsetX, event.offsetY);
    view.move(panels()[0], event.clientX - last[0], event.clientY - last[1]);
    last = [event.clientX, event.clientY];
    redraw();
  });
  for (const name of ['pointerup', 'pointercancel']) {
    canvas.addEventListener(name, () => { last = null; canvas.classList.remove('moving'); });
  }
  canvas.addEventListener('pointerleave', () => { hideTip(); redraw(); });
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    view.zoomAt(panelAt(event.offsetX), event.offsetX, event.offsetY, Math.exp(-event.deltaY / 400));
    redraw();
  }, { passive: false });
  canvas.addEventListener('dblclick', resetView);
}
