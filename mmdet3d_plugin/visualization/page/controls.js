'use strict';

function change(values) {
  Object.assign(state, values);
  redraw();
}

function showFrame(index) {
  const count = CONTENT.frames.length;
  hideTip();
  change({ frame: (index + count) % count });
}

function togglePlay() {
  if (state.timer !== null) {
    clearInterval(state.timer);
    change({ timer: null });
  } else {
    change({ timer: setInterval(() => showFrame(state.frame + 1), 1000 / CONTENT.fps) });
  }
}

function step(by) {
  if (state.timer !== null) togglePlay();
  showFrame(state.frame + by);
}

function toggleLayer(index) {
  state.layers[index] = !state.layers[index];
  hideTip();
  redraw();
}

function zoom(factor) {
  const [panel] = panels();
  view.zoomAt(panel, panel.left + panel.width / 2, panel.top + panel.height / 2, factor);
  redraw();
}

function resetView() {
  view.reset();
  redraw();
}

const KEYS = {
  ArrowLeft: () => step(-1), ArrowRight: () => step(1), ' ': togglePlay, '0': resetView,
  '+': () => zoom(1.25), '=': () => zoom(1.25), '-': () => zoom(0.8),
  p: () => change({ points: !state.points }), s: () => change({ split: !state.split }),
};

function onKey(event) {
  const typed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const ours = KEYS[typed] || (CONTENT.layers[Number(typed) - 1] && (() => toggleLayer(Number(typed) - 1)));
  // a focused slider keeps its arrows, a focused button its space
  const busy = event.target.matches('input[type=range], input[type=radio]') || (typed === ' ' && event.target !== canvas &&
    event.target.matches('button, input'));
  if (!ours || busy || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  ours();
}
